// Holds how the charts of a page look at a run: by what, which part, how smooth.

import { keep, kept } from "./kept.js";
import { elapsed, tick, whole } from "./words.js";

export const MODES = { step: "Step", samples: "Samples", time: "Time" };
const TIMES_S = [
  0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600,
  43200, 86400, 172800, 432000, 864000, 2592000,
];
const WHOLES = Array.from({ length: 13 }, (_, e) => [1, 2, 5].map((n) => n * 10 ** e)).flat();

export class Lens {
  constructor() {
    const mode = kept("axis");
    this.mode = Object.hasOwn(MODES, mode ?? "") ? mode : "step";
    this.zoom = null; // [from, to] on the axis, or all of it
    this.extent = null; // what there is on the axis, of all charts together
    this.smoothing = Math.min(Math.max(Number(kept("smoothing") ?? 0) || 0, 0), 0.99);
    this.log = false;
    this.marks = true;
    this._listeners = new Set();
  }

  onChange(listener) {
    this._listeners.add(listener);
  }

  _changed() {
    for (const listener of this._listeners) listener();
  }

  set(changes) {
    if (changes.mode && changes.mode !== this.mode) {
      this.zoom = null;
      this.extent = null;
      keep("axis", changes.mode);
    }
    if (changes.smoothing !== undefined) keep("smoothing", changes.smoothing);
    Object.assign(this, changes);
    this._changed();
  }

  /** A chart says what it has on the axis. */
  spans(min, max) {
    const [low, high] = this.extent ?? [min, max];
    this.extent = [Math.min(low, min), Math.max(high, max)];
  }

  /** What a chart shows that has values from `min` to `max`: the same as all others. */
  shown(min, max) {
    if (this.zoom !== null) return this.zoom;
    const [low, high] = this.extent ?? [min, max];
    return high > low ? [low, high] : [min, max];
  }

  zoomTo(from, to) {
    if (!(to > from)) return;
    this.zoom = [from, to];
    this._changed();
  }

  all() {
    if (this.zoom === null) return;
    this.zoom = null;
    this._changed();
  }

  /** Shows `factor` times as much as now, around `middle`. */
  zoomBy(factor, middle = null) {
    if (this.extent === null) return;
    const [low, high] = this.zoom ?? this.extent;
    const [first, last] = this.extent;
    const width = (high - low) * factor;
    if (width >= last - first) {
      this.all();
      return;
    }
    const centre = middle ?? (low + high) / 2;
    this._show(centre - (centre - low) * factor, width);
  }

  /** Moves by a part of what is shown; backwards where it is negative. */
  move(part) {
    if (this.zoom === null || this.extent === null) return;
    const width = this.zoom[1] - this.zoom[0];
    this._show(this.zoom[0] + width * part, width);
  }

  _show(from, width) {
    const [first, last] = this.extent;
    const start = Math.min(Math.max(from, first), Math.max(last - width, first));
    this.zoomTo(start, start + width);
  }

  get steps() {
    return this.mode === "time" ? TIMES_S : WHOLES;
  }

  /** The label of a tick, where ticks are `apart`. */
  tick(value, apart) {
    if (this.mode === "time") return elapsed(value, apart);
    if (apart >= 1e6) return `${tick(value / 1e6)}M`;
    if (apart >= 1e3 && value !== 0) return `${tick(value / 1e3)}k`;
    return whole(value);
  }

  /** A place on the axis in words. */
  say(value) {
    if (this.mode === "time") return elapsed(value, 1);
    return this.mode === "step" ? `step ${whole(value)}` : `${whole(value)} samples`;
  }
}
