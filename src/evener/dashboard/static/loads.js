// Finds what a rank's or a machine's system says of itself: its load, and the GPU a rank uses.

export function loadOf(row) {
  return (row.machine ?? row).load ?? null;
}

/** The GPU that a rank computes on: `cuda:1` is its machine's second; null on a processor. */
export function gpuOf(rank) {
  const gpus = loadOf(rank)?.gpus ?? [];
  if (gpus.length === 0 || !/^(cuda|gpu|NVIDIA|AMD)/i.test(rank.device)) return null;
  const index = /:(\d+)/.exec(rank.device);
  const named = gpus.filter((gpu) => gpu.name && rank.device.includes(gpu.name));
  return gpus[index ? Number(index[1]) : -1] ?? named[0] ?? (gpus.length === 1 ? gpus[0] : null);
}
