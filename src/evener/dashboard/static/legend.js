// The legend of a chart: which curve is which, its value, and whether it is shown.

import { button, el, mark, put } from "./dom.js";
import { colour } from "./theme.js";
import { extremes, valueAt } from "./telling.js";

export class Legend {
  /** `hidden` is the set of labels that are not shown; `toggled` is called when it changed. */
  constructor(hidden, format, toggled) {
    this.element = el("ul", { class: "legend" });
    this._hidden = hidden;
    this._format = format;
    this._toggled = toggled;
    this._items = new Map();
    this._where = el("li", { class: "where" });
    this._labels = "";
    this._curves = [];
  }

  show(curves) {
    this._curves = curves;
    const labels = JSON.stringify(curves.map((curve) => curve.label));
    if (labels !== this._labels) this._build(curves, labels);
    for (const curve of curves) this._draw(curve);
  }

  /** Values where the cursor is: `at(column)` is a place in the data; null: the last there is. */
  values(at, where) {
    put(this._where, where);
    for (const { label, column, values } of this._curves) {
      const place = column === null ? null : (at(column) ?? extremes(values)?.last);
      const value = place == null ? null : valueAt(values, place);
      put(this._items.get(label).value, column === null ? "" : this._format(value));
    }
  }

  _build(curves, labels) {
    this._labels = labels;
    this._items = new Map(curves.map((curve) => [curve.label, this._item(curve)]));
    this.element.replaceChildren(this._where, ...[...this._items.values()].map(({ row }) => row));
    this.element.hidden = curves.length === 0;
  }

  _item({ label }) {
    const swatch = el("span", { class: "swatch", "aria-hidden": "true" });
    const value = el("span", { class: "value" });
    const press = button("", () => this._toggle(label), { class: "key" });
    press.append(swatch, el("span", { class: "label" }, label), value);
    return { row: el("li", {}, press), press, swatch, value };
  }

  _toggle(label) {
    if (!this._hidden.delete(label)) this._hidden.add(label);
    this._toggled();
  }

  _draw(curve) {
    const { press, swatch } = this._items.get(curve.label);
    const shown = !this._hidden.has(curve.label);
    mark(press, "aria-pressed", shown);
    swatch.className = curve.area ? `swatch area ${curve.area}` : "swatch";
    swatch.classList.toggle("dashed", Boolean(curve.dash));
    swatch.style.color = colour(curve.colour); // the style sheet makes of it what fits
  }
}
