// Turns a run's steps, samples and time into one another.

/** The index of the last of the rising `xs` that is not above `x`; -1 where all are. */
export function bisect(xs, x) {
  let low = 0;
  let high = xs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (xs[middle] <= x) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The value of `ys` at `x`, on straight lines between the points; null where there are none. */
export function between(xs, ys, x) {
  if (xs.length === 0) return null;
  const i = bisect(xs, x);
  if (i < 0) return ys[0];
  if (i >= xs.length - 1) return ys[xs.length - 1];
  const part = (x - xs[i]) / (xs[i + 1] - xs[i]);
  return ys[i] + part * (ys[i + 1] - ys[i]);
}

/**
 * The columns in the order of their first, each x once: what a chart can draw. A run that fell
 * back to a checkpoint has taken the same steps at other times.
 */
export function ascending(columns) {
  const xs = columns[0];
  let rises = true;
  for (let i = 1; i < xs.length && rises; i++) rises = xs[i] > xs[i - 1];
  if (rises && !xs.includes(null)) return columns;
  const order = [...xs.keys()].filter((i) => xs[i] !== null).sort((a, b) => xs[a] - xs[b]);
  const kept = order.filter((i, place) => place === 0 || xs[i] > xs[order[place - 1]]);
  return columns.map((column) => kept.map((i) => column[i]));
}

/** Knows of one run which step was when, by a curve that has a point for every step. */
export class Ruler {
  /** `curve` gives the points there are by now, as `{step, time, samples}`, or nothing. */
  constructor(curve) {
    this._curve = curve;
    this.start_s = null; // when the run began; set by who knows
    this.batch = 1; // samples of a step, for the steps that no point tells of
  }

  /** Where a step, or a time where no step is known, lies on the axis `mode`; null: unknown. */
  place(mode, step, time) {
    if (mode === "time") return this._since(time ?? this._timeOf(step));
    const at = step ?? this._stepAt(time);
    if (at === null || mode === "step") return at;
    return this._samplesAt(at);
  }

  /** The step that lies at `x` of the axis `mode`. */
  step(mode, x) {
    const curve = this._curve();
    if (mode === "step") return x;
    if (mode === "time") return this._stepAt(x + (this.start_s ?? 0)) ?? 0;
    const known = curve && curve.samples.at(-1) != null; // an old record has none
    return known ? between(curve.samples, curve.step, x) : x / this.batch;
  }

  _since(time) {
    return time == null || this.start_s === null ? null : time - this.start_s;
  }

  _timeOf(step) {
    const curve = this._curve();
    return curve && step != null ? between(curve.step, curve.time, step) : null;
  }

  _stepAt(time) {
    const curve = this._curve();
    return curve && time != null ? between(curve.time, curve.step, time) : null;
  }

  _samplesAt(step) {
    const curve = this._curve();
    const last = curve ? curve.step.length - 1 : -1;
    if (last < 0 || curve.samples[last] == null) return step * this.batch;
    const beyond = step - curve.step[last];
    if (beyond > 0) return curve.samples[last] + beyond * this.batch;
    return between(curve.step, curve.samples, step);
  }
}
