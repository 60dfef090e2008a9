// Keeps where each rank's time went, and lays the ranks' reports on common steps.

import { address, read } from "./api.js";
import { bisect } from "./ruler.js";

// A row of news, in the server's order; those with a name here are kept.
const ROW = [
  "rank", "step", "time", "steps", "share", "samples_per_s", "data_s", "forward_s", "backward_s",
  "exchange_s", "hidden_s", "wait_s", "optimizer_s", "step_s",
];
const FIELDS = [
  "step", "share", "samples_per_s", "data_s", "forward_s", "backward_s", "exchange_s", "wait_s",
  "optimizer_s", "step_s",
];
const POINTS_MOST = 600; // of a rank
const POINTS_TOGETHER = 40000; // of all ranks: what is fetched at once
const COLUMNS = 400; // of a chart
const GROWN_MOST = 4000; // rows that came in live; of more than 33 ranks more
const GROWN_OF_A_RANK = 120;
const PATIENCE = 3; // times its usual interval a report may be late; then the rank did nothing
const AGAIN_MS = 5000;

export class Timings {
  constructor(run, changed) {
    this._run = run;
    this._changed = changed;
    this._ranks = new Map();
    this._late = null; // rows come in while a fetch is under way
    this._grown = 0;
    this._detail = null;
    this._asked = false;
    this._resting = 0;
    this.expected = 1; // ranks there are, so that a thousand are not asked for all their points
  }

  get ranks() {
    return [...this._ranks.keys()].sort((a, b) => a - b);
  }

  load() {
    if (!this._asked && Date.now() >= this._resting) this.reload();
  }

  /** What was fetched before is fetched again; what nobody looked at is not. */
  again() {
    if (this._asked) this.reload();
  }

  async reload() {
    if (this._late !== null) return;
    this._asked = true;
    this._late = [];
    this._detail = null;
    try {
      const ranks = ranksOf(await this._read({}));
      for (const row of this._late) add(ranks, row);
      this._ranks = ranks;
      this._grown = 0;
    } catch (error) {
      console.warn(`timings: ${error.message}`);
      this._asked = this._ranks.size > 0;
      this._resting = Date.now() + AGAIN_MS;
      setTimeout(this._changed, AGAIN_MS + 100);
    }
    this._late = null;
    this._changed();
  }

  append(rows) {
    if (!this._asked || !rows?.length) return; // nobody looked yet: all of it is fetched then
    this._late?.push(...rows);
    for (const row of rows) add(this._ranks, row);
    this._grown += rows.length;
    if (this._grown > Math.max(GROWN_MOST, GROWN_OF_A_RANK * this._ranks.size)) this.reload();
    else this._changed();
  }

  /** All ranks' reports between two steps on common steps: `{steps, of(rank, field)}`. */
  grid(first = -Infinity, last = Infinity) {
    const ranks = this._within(first, last);
    const steps = commonSteps(ranks, first, last);
    return { steps, of: (rank, field) => resample(ranks.get(rank), field, steps, first) };
  }

  _within(first, last) {
    if (first === -Infinity) return this._ranks;
    const kept = this._detail;
    if (kept?.first === first && kept.last === last) return kept.ranks ?? this._ranks;
    this._detail = { first, last, ranks: null };
    this._fetchDetail(this._detail);
    return this._ranks;
  }

  async _fetchDetail(detail) {
    try {
      const { first, last } = detail;
      const ranks = ranksOf(await this._read({ first: Math.max(first, 0), last }));
      if (ranks.size > 0) detail.ranks = ranks;
      this._changed();
    } catch (error) {
      console.warn(`timings: ${error.message}`); // the coarse ones stay
    }
  }

  _read(query) {
    const ranks = Math.max(this.expected, this._ranks.size, 1);
    const points = Math.min(POINTS_MOST, Math.max(Math.floor(POINTS_TOGETHER / ranks), 30));
    return read(address(this._run, ["timings"], { points, ...query }));
  }
}

function ranksOf(reply) {
  const found = Object.entries(reply.ranks ?? {});
  return new Map(found.map(([rank, columns]) => [Number(rank), reports(columns)]));
}

function reports(columns = {}) {
  return Object.fromEntries(FIELDS.map((field) => [field, columns[field] ?? []]));
}

function add(ranks, row) {
  const rank = row[0];
  if (!ranks.has(rank)) ranks.set(rank, reports());
  const kept = ranks.get(rank);
  if (kept.step.length > 0 && row[1] <= kept.step.at(-1)) return; // told already, or taken again
  for (const field of FIELDS) kept[field].push(row[ROW.indexOf(field)] ?? null);
}

/** The steps that any rank reported at; where those are too many, as many at equal distances. */
function commonSteps(ranks, first, last) {
  const all = new Set();
  for (const { step } of ranks.values()) {
    for (const at of step) if (at >= first && at <= last) all.add(at);
  }
  const steps = [...all].sort((a, b) => a - b);
  if (steps.length <= COLUMNS) return steps;
  const width = (steps.at(-1) - steps[0]) / COLUMNS;
  return Array.from({ length: COLUMNS }, (_, i) => Math.round(steps[0] + (i + 1) * width));
}

/**
 * The means of `field` between the common steps. A report tells of the steps before it, so that a
 * column without one takes the next; null where there is none for long: the rank was away.
 */
export function resample(kept, field, steps, first) {
  const column = new Array(steps.length).fill(null);
  if (!kept) return column;
  const at = kept.step;
  const values = kept[field];
  const reach = PATIENCE * usualInterval(at);
  let i = bisect(at, first - 1e-9) + 1;
  for (let j = 0; j < steps.length; j++) {
    let sum = 0;
    let n = 0;
    for (; i < at.length && at[i] <= steps[j]; i++) {
      if (values[i] !== null) [sum, n] = [sum + values[i], n + 1];
    }
    if (n > 0) column[j] = sum / n;
    else if (i < at.length && at[i] - steps[j] <= reach) column[j] = values[i];
    else if (i > 0 && steps[j] - at[i - 1] <= reach) column[j] = values[i - 1];
  }
  return column;
}

const intervals = new WeakMap(); // by list of steps: the same is asked for every field of a rank

function usualInterval(steps) {
  const known = intervals.get(steps);
  if (known?.of === steps.length) return known.interval;
  const distances = steps.slice(1).map((step, i) => step - steps[i]);
  const interval = distances.sort((a, b) => a - b)[distances.length >> 1] ?? 1;
  intervals.set(steps, { of: steps.length, interval });
  return interval;
}
