// A chart's values as a table, for those who ask for it.

import { el } from "./dom.js";
import { valueAt } from "./telling.js";

const ROWS = 100;

/** A closed `<details>` that fills itself when it is opened, from what `picture()` then gives. */
export function valueTable(title, picture, format, place) {
  const named = { role: "region", "aria-label": `Values: ${title}` };
  const body = el("div", { class: "scroll", tabindex: "0", ...named });
  const details = el("details", { class: "values" }, el("summary", {}, "Values as a table"), body);
  details.addEventListener("toggle", () => {
    const shown = details.open ? picture() : null;
    body.replaceChildren(...(shown ? [tableOf(title, shown, format, place)] : []));
  });
  return details;
}

function tableOf(title, { data, curves }, format, place) {
  const shown = curves.filter((curve) => curve.column !== null);
  const every = Math.max(Math.ceil(data[0].length / ROWS), 1);
  const note = every > 1 ? `${title}; one of ${every} points each` : title;
  const head = el("tr", {}, el("th", { scope: "col" }, "At"));
  head.append(...shown.map((curve) => el("th", { scope: "col" }, curve.label)));
  const rows = el("tbody");
  for (let i = data[0].length - 1; i >= 0; i -= every) {
    const row = el("tr", {}, el("th", { scope: "row" }, place(data[0][i])));
    row.append(...shown.map((curve) => el("td", {}, format(valueAt(curve.values, i)))));
    rows.append(row);
  }
  return el("table", { class: "plain" }, el("caption", {}, note), el("thead", {}, head), rows);
}
