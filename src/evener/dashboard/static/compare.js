// Two or more runs on one chart, with their last and best values beside each other.

import { pageOf } from "./api.js";
import { Chart } from "./chart.js";
import { controls } from "./controls.js";
import { along, formatted, looked, measureOf, measuresOf, titleOf } from "./curves.js";
import { byId, el, mark, put } from "./dom.js";
import { Lens } from "./lens.js";
import { lines } from "./lines.js";
import { Ruler } from "./ruler.js";
import { Series } from "./series.js";
import { Table } from "./table.js";
import { extremes } from "./telling.js";
import { DASH, whole } from "./words.js";

const COLOURS = 8;
const AGAIN_MS = 5000; // a run that goes on is read again
const RUNS_MOST = 24;

export class Compare {
  constructor() {
    this._lens = new Lens();
    this._runs = new Map(); // by name: {name, series, ruler, live}
    this._place = byId("compare");
    this._measure = el("select", { id: "compare-measure" });
    this._measure.addEventListener("change", () => this._chart.ask());
    this._chart = this._makeChart();
    this._table = this._makeTable();
    const label = el("label", { for: "compare-measure" }, "Of");
    const choice = el("div", { class: "tools" }, label, this._measure);
    const parts = [controls(this._lens), choice, this._chart.element, this._table.element];
    byId("compare-place").append(...parts);
    this._lens.onChange(() => this._chart.ask());
    setInterval(() => this._again(), AGAIN_MS);
  }

  show(runs, names) {
    const known = new Map(runs.map((run) => [run.name, run]));
    const wanted = [...names].filter((name) => known.has(name)).slice(0, RUNS_MOST);
    for (const name of this._runs.keys()) if (!wanted.includes(name)) this._runs.delete(name);
    for (const name of wanted) this._follow(known.get(name));
    this._place.hidden = wanted.length < 2;
    put(byId("compare-said"), `${wanted.length} runs`);
    if (!this._place.hidden) this._ask();
  }

  _follow(run) {
    if (!this._runs.has(run.name)) {
      const series = new Series(run.name, () => this._ask());
      this._runs.set(run.name, { series, ruler: new Ruler(() => series.get("loss")) });
      series.load(["loss"]);
    }
    const followed = this._runs.get(run.name);
    Object.assign(followed, { name: run.name, live: run.live });
    followed.ruler.start_s = run.started_at;
  }

  _again() {
    if (document.hidden || this._place.hidden) return;
    for (const { live, series } of this._runs.values()) if (live) series.reload();
  }

  _ask() {
    this._offer();
    this._chart.ask();
    this._table.show(this._rows());
  }

  _offer() {
    const names = new Set([...this._runs.values()].flatMap((run) => run.series.names));
    const measures = ["loss", "validation.loss", ...measuresOf([...names])];
    const all = measures.flatMap((measure) => {
      const validated = `validation.${measure}`;
      return [measure, validated].filter((name) => names.has(name));
    });
    const known = [...this._measure.options].map((option) => option.value);
    for (const name of new Set(all)) {
      if (!known.includes(name)) this._measure.append(el("option", { value: name }, labelOf(name)));
    }
  }

  get _name() {
    return this._measure.value || "loss";
  }

  _makeChart() {
    const format = (value) => formatted(measureOf(this._name), value);
    const compose = (hidden) => this._compose(hidden);
    return new Chart({ title: "Runs compared", lens: this._lens, compose, format, tall: true });
  }

  _compose(hidden) {
    const lens = this._lens;
    const curves = [...this._runs.values()].map((run, i) => this._curve(run, i)).filter(Boolean);
    return lines(curves, { smoothing: lens.smoothing, log: lens.log, hidden });
  }

  _curve({ name, series, ruler }, i) {
    const lens = this._lens;
    if (!series.names.includes(this._name)) return null;
    series.load([this._name]);
    const curve = looked(series, this._name, lens, ruler);
    if (!curve) return null;
    const look = { colour: `c${i % COLOURS}`, dash: i >= COLOURS ? [6, 4] : undefined };
    const steady = measureOf(this._name) !== this._name; // of a validation
    return { ...curve, ...look, steady, label: name, x: along(lens.mode, curve, ruler) };
  }

  _rows() {
    return [...this._runs.values()].map(({ name, series }) => {
      const curve = series.get(this._name);
      const found = curve ? extremes(curve.mean) : null;
      const at = (i) => ({ value: curve.mean[i], step: curve.step[i] });
      const places = Object.entries(found ?? {}).map(([which, i]) => [which, at(i)]);
      return { name, ...Object.fromEntries(places) };
    });
  }

  _makeTable() {
    const say = (point) => {
      if (!point) return DASH;
      return `${formatted(measureOf(this._name), point.value)} at ${whole(point.step)}`;
    };
    const value = (key, title) => ({
      key, title, numeric: true, sort: (row) => row[key]?.value, text: (row) => say(row[key]),
    });
    const columns = [
      { key: "name", title: "Run", sort: (row) => row.name, make: linked },
      value("last", "Last"), value("low", "Lowest"), value("high", "Highest"),
    ];
    const named = (row) => row.name;
    return new Table({ caption: "Compared", columns, id: named, find: named });
  }
}

function linked(cell) {
  const link = cell.appendChild(el("a"));
  return ({ name }) => {
    put(link, name);
    mark(link, "href", pageOf(name));
  };
}

function labelOf(name) {
  const measure = measureOf(name);
  return measure === name ? titleOf(measure) : `${titleOf(measure)}, validation`;
}
