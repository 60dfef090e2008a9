// The charts of loss and metrics: one for each measure, training and validation together.

import { Chart } from "./chart.js";
import { byId, el } from "./dom.js";
import { lines } from "./lines.js";
import { SAMPLES } from "./series.js";
import { interval, isShare, metric, percent, tick } from "./words.js";

const VALIDATION = "validation.";
const TITLES = {
  loss: "Loss", lr: "Learning rate", grad_norm: "Gradient norm", seconds: "Seconds of a step",
  samples_per_s: "Samples per second", skipped: "Steps that were skipped",
};
const LAST = ["lr", "grad_norm", "samples_per_s", "seconds", "skipped"]; // metrics come first

export class Curves {
  /** `page` has `lens`, `series`, `ruler` and `marks()`. */
  constructor(page) {
    this._page = page;
    this._charts = new Map(); // by measure
    this._place = byId("curves-place");
    this._add("loss");
    this._others = el("div", { class: "charts" });
    this._place.append(this._others);
  }

  /** Something came in, or is looked at otherwise. */
  ask() {
    const measures = measuresOf(this._page.series.names);
    for (const measure of measures) if (!this._charts.has(measure)) this._add(measure);
    for (const [measure, chart] of this._charts) {
      chart.element.hidden = LAST.includes(measure) && this._isEmpty(measure);
      chart.ask();
    }
  }

  /** Scripts say nothing of some of it: there are curves, and no values. */
  _isEmpty(measure) {
    const curve = this._page.series.get(measure);
    return curve !== undefined && !curve.mean.some(Boolean);
  }

  _add(measure) {
    const { lens, marks } = this._page;
    const compose = (hidden) => this._compose(measure, hidden);
    const format = (value) => formatted(measure, value);
    const tall = measure === "loss";
    const [title, ticks] = [titleOf(measure), ticksOf(measure)];
    const chart = new Chart({ title, lens, compose, format, ticks, marks, tall });
    this._charts.set(measure, chart);
    if (tall) this._place.append(chart.element);
    else this._inOrder(measure, chart.element);
  }

  _inOrder(measure, element) {
    const order = measuresOf(this._page.series.names);
    const later = order.slice(order.indexOf(measure) + 1);
    const after = later.map((one) => this._charts.get(one)).find((chart) => chart !== undefined);
    this._others.insertBefore(element, after?.element ?? null);
  }

  _compose(measure, hidden) {
    const { series, lens } = this._page;
    const known = (name) => name === "loss" || series.names.includes(name);
    const names = [measure, VALIDATION + measure].filter(known);
    series.load(names);
    const both = names.length > 1;
    const curves = names.map((name) => this._curve(name, both)).filter((curve) => curve !== null);
    return lines(curves, { smoothing: lens.smoothing, log: lens.log, hidden });
  }

  _curve(name, both) {
    const { lens, series, ruler } = this._page;
    const curve = looked(series, name, lens, ruler);
    if (!curve) return null;
    const validation = name.startsWith(VALIDATION);
    const steady = validation;
    const label = validation ? "validation" : both ? "training" : name;
    const look = validation ? { colour: "c1", dash: [6, 4], steady } : { colour: "c0" };
    return { ...curve, ...look, label, x: along(lens.mode, curve, ruler) };
  }
}

/** What there is a chart for: metrics as they came, then what only says how training goes. */
export function measuresOf(names) {
  const measures = new Set(names.map(measureOf));
  for (const other of ["loss", SAMPLES]) measures.delete(other);
  const first = [...measures].filter((measure) => !LAST.includes(measure));
  return [...first, ...LAST.filter((measure) => measures.has(measure))];
}

export function measureOf(name) {
  return name.startsWith(VALIDATION) ? name.slice(VALIDATION.length) : name;
}

export function titleOf(measure) {
  return Object.hasOwn(TITLES, measure) ? TITLES[measure] : measure;
}

export function formatted(measure, value) {
  return measure === "seconds" ? interval(value) : metric(measure, value);
}

/** What is beside a chart is written as its values are, where they are not plain numbers. */
function ticksOf(measure) {
  if (measure === "seconds") return interval;
  return isShare(measure) ? (value) => percent(value, 0) : tick;
}

/** A curve's points on the axis. */
export function along(mode, curve, ruler) {
  const start_s = ruler.start_s ?? curve.time[0];
  if (mode === "time") return curve.time.map((time) => time - start_s);
  return mode === "samples" ? curve.samples : curve.step;
}

/** The curve as fine as a lens looks at it. */
export function looked(series, name, lens, ruler) {
  return lens.zoom === null ? series.get(name) : series.within(name, ...steps(lens, ruler));
}

/** The steps that a zoomed lens shows, with one more at either side. */
export function steps(lens, ruler) {
  const [from, to] = lens.zoom.map((x) => ruler.step(lens.mode, x));
  return [Math.max(Math.floor(from) - 1, 0), Math.ceil(to) + 1];
}
