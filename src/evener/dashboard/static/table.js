// A table whose rows are built once and then only change their texts; sorted, filtered, bounded.

import { button, el, mark, put } from "./dom.js";
import { painted } from "./frame.js";
import { many, whole } from "./words.js";

const FILTER_FROM = 9; // rows: fewer are found by looking
const SORT_EVERY_MS = 2000; // so that rows do not jump while they are read
let tables = 0;

/** A column of numbers: `of(row)` is what is sorted by, `show` how it is written. */
export function number(key, title, of, show, hint = null) {
  return { key, title, hint, numeric: true, sort: of, text: (row) => show(of(row)) };
}

/**
 * A column is `{key, title, hint, numeric, sort(row), text(row)}`; where a text is not enough,
 * `make(cell)` builds the cell and returns what draws a row into it. The first is the row's name.
 */
export class Table {
  constructor({ caption, columns, id, find, sorted = null, most = 64, empty = "None yet" }) {
    Object.assign(this, { _columns: columns, _id: id, _find: find, _most: most, _empty: empty });
    this._rows = [];
    this._built = new Map();
    this._sorted = sorted ?? { key: columns[0].key, down: false };
    this._order = [];
    this._ordered = 0;
    this._all = false;
    this._noun = caption.toLowerCase();
    this.element = this._make(caption);
    this._ask = painted(this.element, () => this._paint());
  }

  show(rows) {
    this._rows = rows;
    this._ask();
  }

  _make(caption) {
    const id = `filter-${(tables += 1)}`;
    this._filter = el("input", { type: "search", id, autocomplete: "off", spellcheck: "false" });
    this._filter.addEventListener("input", () => this._again());
    this._sorter = this._sorting();
    this._counted = el("span", { class: "soft counted", role: "status" });
    this._more = button("", () => this._showAll(), { class: "quiet", hidden: true });
    this._tools = el(
      "div", { class: "tools" },
      el("label", { for: id }, "Filter"), this._filter,
      el("label", { class: "sorter" }, "Sort by ", this._sorter), this._counted,
    );
    this._heads = this._columns.map((column) => this._head(column));
    this._body = el("tbody", { role: "rowgroup" });
    this._none = el("p", { class: "empty" }, this._empty);
    const row = el("tr", { role: "row" });
    row.append(...this._heads.map((head) => head.cell));
    const head = el("thead", { role: "rowgroup" }, row);
    const parts = [el("caption", { class: "unseen" }, caption), head, this._body];
    this._table = el("table", { class: "rows", role: "table", hidden: true }, ...parts);
    return el("div", { class: "tabled" }, this._tools, this._table, this._none, this._more);
  }

  _head(column) {
    const arrow = el("span", { class: "arrow", "aria-hidden": "true" });
    const press = button(column.title, () => this._sortBy(column.key), { title: column.hint });
    press.append(arrow);
    const kind = column.numeric ? "numeric" : null;
    const cell = el("th", { scope: "col", role: "columnheader", class: kind }, press);
    return { column, cell, arrow };
  }

  /** Where a table is shown as cards there are no headings to press. */
  _sorting() {
    const select = el("select");
    for (const { key, title } of this._columns) {
      select.append(el("option", { value: `${key} up` }, `${title}, rising`));
      select.append(el("option", { value: `${key} down` }, `${title}, falling`));
    }
    select.addEventListener("change", () => {
      const [key, way] = select.value.split(" ");
      this._sorted = { key, down: way === "down" };
      this._again();
    });
    return select;
  }

  _sortBy(key) {
    const same = this._sorted.key === key;
    const { numeric } = this._columns.find((column) => column.key === key);
    this._sorted = { key, down: same ? !this._sorted.down : Boolean(numeric) };
    this._again();
  }

  _showAll() {
    this._all = !this._all;
    this._again();
  }

  _again() {
    this._ordered = 0;
    this._ask();
  }

  _paint() {
    const wanted = this._filter.value.trim().toLowerCase();
    const found = wanted
      ? this._rows.filter((row) => this._find(row).toLowerCase().includes(wanted))
      : this._rows;
    const inOrder = this._inOrder(found);
    const shown = this._all ? inOrder : inOrder.slice(0, this._most);
    this._place(shown);
    this._tell(found.length, shown.length, wanted);
    for (const head of this._heads) this._point(head);
  }

  _inOrder(rows) {
    const known = new Map(rows.map((row) => [this._id(row), row]));
    const same = known.size === this._order.length && this._order.every((id) => known.has(id));
    if (!same || performance.now() - this._ordered > SORT_EVERY_MS) {
      this._order = sorted(rows, this._valueSortedBy(), this._sorted.down).map(this._id);
      this._ordered = performance.now();
    }
    return this._order.map((id) => known.get(id));
  }

  _valueSortedBy() {
    const column = this._columns.find(({ key }) => key === this._sorted.key);
    return column.sort ?? column.text;
  }

  _place(rows) {
    const kept = new Set(rows.map(this._id));
    for (const [id, built] of this._built) {
      if (!kept.has(id)) {
        built.row.remove();
        this._built.delete(id);
      }
    }
    let next = this._body.firstChild;
    for (const row of rows) {
      const built = this._builtFor(row);
      for (const draw of built.draws) draw(row);
      if (built.row === next) next = next.nextSibling;
      else this._body.insertBefore(built.row, next);
    }
  }

  _builtFor(row) {
    const id = this._id(row);
    let built = this._built.get(id);
    if (!built) {
      built = this._build();
      this._built.set(id, built);
    }
    return built;
  }

  _build() {
    const row = el("tr", { role: "row" });
    const draws = this._columns.map((column, i) => {
      const kind = column.numeric ? "numeric" : null;
      const name = { scope: "row", role: "rowheader", class: kind, "data-title": column.title };
      const plain = { role: "cell", class: kind, "data-title": column.title };
      const cell = i === 0 ? el("th", name) : el("td", plain);
      row.append(cell);
      return column.make?.(cell) ?? ((of) => put(cell, column.text(of)));
    });
    return { row, draws };
  }

  _tell(found, shown, wanted) {
    const total = this._rows.length;
    const few = total < FILTER_FROM;
    this._tools.classList.toggle("few", few && !wanted);
    this._table.hidden = found === 0;
    this._none.hidden = found > 0;
    put(this._none, wanted ? "None is like that" : this._empty);
    put(this._counted, wanted ? `${whole(found)} of ${many(total, "row")}` : "");
    this._more.hidden = found <= this._most;
    put(this._more, shown < found ? `Show all ${whole(found)}` : `Show the first ${this._most}`);
  }

  _point({ column, cell, arrow }) {
    const { key, down } = this._sorted;
    const way = key !== column.key ? null : down ? "descending" : "ascending";
    mark(cell, "aria-sort", way);
    put(arrow, way === null ? "" : down ? " ↓" : " ↑");
    if (way !== null) this._sorter.value = `${key} ${down ? "down" : "up"}`;
  }
}

/** What is not known comes last, whichever way. */
function sorted(rows, of, down) {
  const way = down ? -1 : 1;
  const unknown = (value) => value === null || value === undefined || value === "";
  return rows
    .map((row) => [of(row), row])
    .sort(([a], [b]) => {
      if (unknown(a) || unknown(b)) return Number(unknown(a)) - Number(unknown(b));
      return way * compare(a, b);
    })
    .map(([, row]) => row);
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}
