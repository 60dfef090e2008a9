// The parts of a step, in the order in which a step does them: their names and colours.

export const PARTS = [
  { field: "data_s", label: "data", colour: "part-data" },
  { field: "forward_s", label: "forward", colour: "part-forward" },
  { field: "backward_s", label: "backward", colour: "part-backward" },
  { field: "exchange_s", label: "exchange", colour: "part-exchange" },
  { field: "wait_s", label: "wait", colour: "part-wait", hatched: true },
  { field: "optimizer_s", label: "optimizer", colour: "part-optimizer" },
];
export const OTHER = { label: "other", colour: "part-other", weak: true };

/** What of the step is in none of its parts. */
export function otherOf(step_s, parts_s) {
  return Math.max((step_s ?? 0) - parts_s.reduce((sum, part) => sum + (part ?? 0), 0), 0);
}

/** A rank's parts as shares of its step: `{label, colour, share}`; none where it has none yet. */
export function sharesOf(rank) {
  const seconds = PARTS.map((part) => rank[part.field] ?? 0);
  const all = [...seconds, otherOf(rank.step_s, seconds)];
  const total = all.reduce((sum, part) => sum + part, 0);
  return total > 0 ? [...PARTS, OTHER].map((part, i) => ({ ...part, share: all[i] / total })) : [];
}
