// What cells of tables hold beside a plain text: two lines, a meter, a step's time as a bar.

import { el, mark, put } from "./dom.js";
import { OTHER, PARTS, sharesOf } from "./parts.js";
import { percent } from "./words.js";

/** A text with a smaller one below it. */
export function twoLines(upper, lower) {
  return (cell) => {
    const first = el("div");
    const second = el("div", { class: "soft small" });
    cell.append(first, second);
    return (row) => {
      put(first, upper(row));
      put(second, lower(row));
      second.hidden = second.textContent === "";
    };
  };
}

/**
 * A text with a thin meter below it; `share` gives 0 to 1, or null: no meter then. Above `most` it
 * warns. `lower` is a smaller text.
 */
export function metered(text, share, { lower = () => "", most = Infinity } = {}) {
  return (cell) => {
    const said = el("div");
    const fill = el("span");
    const meter = el("span", { class: "meter", "aria-hidden": "true" }, fill);
    const more = el("div", { class: "soft small" });
    cell.append(said, meter, more);
    return (row) => {
      const part = share(row);
      put(said, text(row));
      put(more, lower(row));
      more.hidden = more.textContent === "";
      meter.hidden = part === null || part === undefined;
      fill.style.width = `${Math.min(Math.max(part ?? 0, 0), 1) * 100}%`;
      fill.className = part > most ? "full" : "";
    };
  };
}

/** A word with a shape before it, so that its colour is not all that tells it. */
export function stated(word, kind) {
  return (cell) => {
    const shape = el("span", { class: "shape", "aria-hidden": "true" });
    const said = el("span");
    const more = el("div", { class: "soft small" });
    cell.append(el("div", { class: "stated" }, shape, said), more);
    return (row) => {
      const [text, detail] = word(row);
      put(said, text);
      put(more, detail ?? "");
      more.hidden = !detail;
      shape.className = `shape ${kind(row)}`;
    };
  };
}

/** Where a step's time goes, as one bar; `ofRow` gives what has the parts, in seconds. */
export function timeBar(ofRow) {
  return (cell) => {
    const pieces = [...PARTS, OTHER].map((part) => el("span", { class: `piece ${part.colour}` }));
    const bar = el("div", { class: "timebar", role: "img" }, ...pieces);
    cell.append(bar);
    return (row) => {
      const shares = sharesOf(ofRow(row));
      bar.hidden = shares.length === 0;
      pieces.forEach((piece, i) => (piece.style.flexGrow = String(shares[i]?.share ?? 0)));
      const told = shares
        .filter((part) => part.share >= 0.005)
        .map((part) => `${part.label} ${percent(part.share)}`);
      mark(bar, "aria-label", told.join(", "));
      mark(bar, "title", told.join("\n"));
    };
  };
}

/** Which colour of a bar is which part. */
export function timeLegend() {
  const entries = [...PARTS, OTHER].map(({ colour, label }) => {
    const swatch = el("span", { class: `swatch area ${colour}`, "aria-hidden": "true" });
    return el("li", {}, swatch, label);
  });
  return el("ul", { class: "legend still", "aria-label": "Parts of a step" }, ...entries);
}
