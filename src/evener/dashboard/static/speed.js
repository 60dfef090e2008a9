// What ranks do together, against what they do alone: pure sums over a state.

/** What counts as the run's speed: as it was last measured, else as it is now. */
export function speedOf(state) {
  return state.measured_samples_per_s ?? state.samples_per_s ?? null;
}

/** How many times as fast as the fastest rank, which would do the whole batch by itself. */
export function speedUp(state) {
  const speed = speedOf(state);
  const alone = (state.ranks ?? [])
    .filter((rank) => rank.per_sample_s > 0)
    .map((rank) => rank.fixed_s + state.global_batch * rank.per_sample_s);
  if (speed === null || alone.length === 0 || !(state.global_batch > 0)) return null;
  return speed / (state.global_batch / Math.min(...alone));
}

export function ofPossible(state) {
  return ratio(state.measured_samples_per_s, state.possible_samples_per_s);
}

export function ofOwnSpeeds(state) {
  return ratio(state.measured_samples_per_s, state.alone_samples_per_s);
}

/** Whether every machine has one rank: then a rank is its machine. */
export function oneRankEach(state) {
  const agents = (state.ranks ?? []).map((rank) => rank.agent);
  return new Set(agents).size === agents.length;
}

function ratio(part, all) {
  return part > 0 && all > 0 ? part / all : null;
}

/** A torchrun script does all by itself: of its samples nothing is known. */
export const countsSamples = (state) => state.model === "" || state.data !== "";
