// One chart: a figure with its caption, text, legend, plot and table of values.

import { el, put } from "./dom.js";
import { painted } from "./frame.js";
import { steer } from "./keys.js";
import { Legend } from "./legend.js";
import { markPlugin } from "./marks.js";
import { options } from "./plot.js";
import { tell } from "./telling.js";
import { onTheme } from "./theme.js";
import { valueTable } from "./valuetable.js";
import { number, tick } from "./words.js";
import uPlot from "./vendor/uplot/uPlot.js";

const KEYS = "Left and right read the values, plus and minus zoom, Escape shows all.";
const nothing = () => [];
let charts = 0;

export class Chart {
  /**
   * `compose(hidden)` gives the picture there is by now, or null; `ask()` says that it changed.
   * `marks()` gives what happened, to be drawn too; `format` writes values, `ticks` those beside.
   */
  constructor({ title, lens, compose, format = number, ticks = tick, marks = nothing, tall }) {
    Object.assign(this, { lens, format, plot: null, picture: null });
    Object.assign(this, { _compose: compose, _ticks: ticks, _marks: marks });
    this._hidden = new Set();
    this._key = "";
    this._legend = new Legend(this._hidden, format, () => this.ask());
    this.element = this._figure(title, tall);
    this.ask = painted(this.element, () => this._paint());
    new ResizeObserver(() => this._resize()).observe(this._body);
    onTheme(() => this._rebuild());
  }

  say(text) {
    put(this._spoken, text);
  }

  _figure(title, tall) {
    const id = `chart-${(charts += 1)}`;
    const place = (x) => this.lens.say(x);
    this._text = el("p", { class: "told" });
    this._spoken = el("p", { class: "unseen", "aria-live": "polite" });
    this._empty = el("p", { class: "empty" }, "No values yet");
    this._body = el("div", {
      class: tall ? "plot tall" : "plot", tabindex: "0", role: "group",
      "aria-roledescription": "chart", "aria-label": `${title}. ${KEYS}`,
    }, this._empty);
    steer(this._body, this);
    const caption = el("figcaption", { id }, el("h3", {}, title), this._text);
    const values = valueTable(title, () => this.picture, this.format, place);
    const parts = [caption, this._legend.element, this._body, this._spoken, values];
    return el("figure", { class: "chart", "aria-labelledby": id }, ...parts);
  }

  _paint() {
    if (this.plot?.select.width > 0) return this.ask(); // the reader is marking a part of it
    const picture = this._compose(this._hidden);
    this.picture = picture;
    const points = picture?.data[0].length ?? 0;
    this._empty.hidden = points > 0;
    put(this._empty, this._hidden.size > 0 ? "All curves are switched off" : "No values yet");
    const place = (x) => this.lens.say(x);
    put(this._text, points > 0 ? tell(picture, this.format, place) : "");
    const named = points > 0 || this._hidden.size > 0;
    this._legend.show((named && picture?.curves) || []);
    if (points === 0) this._drop();
    else this._draw(picture);
    this._values();
    return undefined;
  }

  _draw(picture) {
    const xs = picture.data[0];
    this.lens.spans(xs[0], xs.at(-1));
    const key = `${picture.key} ${this.lens.mode}`;
    if (key === this._key) this.plot.setData(picture.data);
    else this._build(picture, key);
  }

  _build(picture, key) {
    const size = { width: this._body.clientWidth, height: this._body.clientHeight };
    if (size.width === 0) return; // not laid out: the observer asks again
    this._drop();
    const plugins = [markPlugin(this._marks)];
    const moved = () => this._values();
    const told = options({ picture, lens: this.lens, ticks: this._ticks, size, plugins, moved });
    this.plot = new uPlot(told, picture.data, this._body);
    this._key = key;
  }

  /** What the legend says: where the cursor is, or else the last. */
  _values() {
    const { cursor } = this.plot ?? {};
    const xs = this.picture?.data[0] ?? [];
    const x = xs[cursor?.idx ?? xs.length - 1];
    const where = x === undefined ? "" : this.lens.say(x);
    this._legend.values((column) => (cursor?.idx == null ? null : cursor.idxs[column]), where);
  }

  _resize() {
    if (this.plot === null) this.ask();
    else this.plot.setSize({ width: this._body.clientWidth, height: this._body.clientHeight });
  }

  _rebuild() {
    this._key = "";
    this.ask();
  }

  _drop() {
    this.plot?.destroy();
    this.plot = null;
    this._key = "";
  }
}
