// Keeps the curves of one run: fetched, then grown by what comes in, never without bound.

import { address, read } from "./api.js";
import { bisect } from "./ruler.js";

const POINTS = 1200; // what a wide screen can show
const NAMES = 32; // of one request
const GROWN_MOST = 4000; // points that came in live; then the server's thinned ones are taken
const AGAIN_MS = 5000;
export const SAMPLES = "samples"; // a name that is no measure: how many were consumed by a step

export class Series {
  constructor(run, changed) {
    this._run = run;
    this._changed = changed;
    this._curves = new Map();
    this._details = new Map(); // of the part that is zoomed into
    this._coming = new Map(); // names that are being fetched, with the points come in since
    this._resting = 0; // no fetch before this time: the last one failed
    this.names = [];
    this.batch = null; // samples of a step, where that is known
  }

  get(name) {
    return this._curves.get(name);
  }

  /** Sees to it that these are there soon; `changed` is called when they are. */
  load(names) {
    const missing = names.filter((n) => !this._curves.has(n) && !this._coming.has(n));
    if (missing.length > 0 && Date.now() >= this._resting) this._fetch(missing);
  }

  /** Fetches again what is shown: too much happened to be told one by one. */
  reload() {
    this._details.clear();
    const names = [...this._curves.keys()].filter((n) => !this._coming.has(n));
    for (let i = 0; i < names.length; i += NAMES) this._fetch(names.slice(i, i + NAMES));
  }

  /** The curve, finer where only the steps from `first` to `last` are looked at. */
  within(name, first, last) {
    const curve = this._curves.get(name);
    if (!curve || curve.exact) return curve;
    const kept = this._details.get(name);
    if (kept?.first === first && kept.last === last) return kept.curve ?? curve;
    const detail = { first, last, curve: null };
    this._details.set(name, detail);
    this._fetchDetail(name, detail);
    return curve;
  }

  /** Points by name, each `[step, time, value]`, in the order they came in. */
  append(points) {
    const told = Object.entries(points ?? {});
    const samples = new Map((points?.[SAMPLES] ?? []).map(([step, , value]) => [step, value]));
    for (const [name, rows] of told) {
      const full = rows.map(([step, time, value]) => [step, time, value, samples.get(step)]);
      this._appendTo(name, full);
    }
    if (told.length > 0) this._changed();
  }

  _appendTo(name, rows) {
    this._coming.get(name)?.push(...rows);
    const curve = this._curves.get(name);
    if (!curve) {
      if (!this.names.includes(name)) this.names.push(name);
      return;
    }
    for (const row of rows) add(curve, row, this.batch);
    if (curve.grown > GROWN_MOST && !this._coming.has(name)) this._fetch([name]);
  }

  async _fetch(names) {
    for (const name of names) this._coming.set(name, []);
    try {
      const query = { name: names, points: POINTS };
      const reply = await read(address(this._run, ["series"], query));
      this.names = [...new Set([...reply.names, ...this.names])];
      for (const name of names) this._take(name, reply.series[name]);
    } catch (error) {
      console.warn(`series: ${error.message}`);
      this._resting = Date.now() + AGAIN_MS;
      setTimeout(this._changed, AGAIN_MS + 100);
    } finally {
      for (const name of names) this._coming.delete(name);
    }
    this._changed();
  }

  _take(name, found) {
    const curve = this._curveOf(found);
    for (const row of this._coming.get(name) ?? []) add(curve, row, this.batch);
    this._curves.set(name, curve);
  }

  /** An old record does not tell of samples; where the batch is not known either, nobody does. */
  _curveOf(found) {
    const curve = curveOf(found);
    const reckoned = (i) => (this.batch === null ? null : curve.step[i] * this.batch);
    curve.samples = curve.samples.map((n, i) => n ?? reckoned(i));
    return curve;
  }

  async _fetchDetail(name, detail) {
    try {
      const query = { name, points: POINTS, first: detail.first, last: detail.last };
      const reply = await read(address(this._run, ["series"], query));
      detail.curve = this._curveOf(reply.series[name]);
      this._changed();
    } catch (error) {
      console.warn(`series: ${error.message}`); // the coarse curve stays
    }
  }
}

/** Where every point is a step of its own, `low` and `high` are the same list as `mean`. */
function curveOf(found) {
  const empty = { step: [], time: [], samples: [], low: [], high: [], mean: [], exact: true };
  const curve = { ...empty, ...found, grown: 0 };
  if (curve.exact) curve.low = curve.high = curve.mean;
  return curve;
}

/** `row` is step, time, value, and the samples consumed by then where that is known. */
function add(curve, [step, time, value, samples], batch) {
  const last = curve.step.length - 1;
  if (last >= 0 && step <= curve.step[last]) {
    replace(curve, step, time, value);
    return;
  }
  const before = last < 0 ? 0 : curve.step[last];
  const reckoned = (curve.samples[last] ?? before * batch) + (step - before) * batch;
  curve.step.push(step);
  curve.time.push(time);
  curve.samples.push(samples ?? reckoned);
  for (const list of new Set([curve.low, curve.high, curve.mean])) list.push(value);
  curve.grown += 1;
}

/** A step taken again, after a fall back to a checkpoint: the same, but for rounding. */
function replace(curve, step, time, value) {
  const at = bisect(curve.step, step);
  if (!curve.exact || curve.step[at] !== step) return;
  curve.time[at] = time;
  curve.mean[at] = value;
}
