// The controls of a lens: by what, how smooth, which part; the same for all charts of a page.

import { button, el, mark, put } from "./dom.js";
import { MODES } from "./lens.js";

let made = 0;

/** `marks`: whether what happened can be drawn on these charts. */
export function controls(lens, { marks = false } = {}) {
  const parts = [modes(lens), smoothing(lens), check(lens, "log", "Log scale")];
  if (marks) parts.push(check(lens, "marks", "Events"));
  parts.push(zoom(lens));
  const group = { class: "controls", role: "group", "aria-label": "How charts are shown" };
  return el("div", group, ...parts);
}

function modes(lens) {
  const name = `axis-${(made += 1)}`;
  const choices = Object.entries(MODES).map(([mode, title]) => {
    const input = el("input", { type: "radio", name, value: mode, checked: lens.mode === mode });
    input.addEventListener("change", () => lens.set({ mode }));
    return el("label", {}, input, el("span", {}, title));
  });
  const legend = el("legend", { class: "unseen" }, "Axis");
  return el("fieldset", { class: "segments" }, legend, ...choices);
}

function smoothing(lens) {
  const said = el("output", { class: "value" }, lens.smoothing.toFixed(2));
  const range = { min: 0, max: 0.99, step: 0.01, value: lens.smoothing };
  const input = el("input", { type: "range", ...range });
  input.addEventListener("input", () => {
    put(said, Number(input.value).toFixed(2));
    lens.set({ smoothing: Number(input.value) });
  });
  return el("label", { class: "slider" }, "Smoothing", input, said);
}

function check(lens, what, title) {
  const input = el("input", { type: "checkbox", checked: lens[what] });
  input.addEventListener("change", () => lens.set({ [what]: input.checked }));
  return el("label", { class: "check" }, input, title);
}

function zoom(lens) {
  const nearer = () => lens.zoomBy(0.5, lens.zoom === null ? lens.extent?.[1] : null);
  const buttons = [
    button("‹", () => lens.move(-0.5), { "aria-label": "Earlier" }),
    button("›", () => lens.move(0.5), { "aria-label": "Later" }),
    button("+", nearer, { "aria-label": "Zoom in" }),
    button("−", () => lens.zoomBy(2), { "aria-label": "Zoom out" }),
    button("All", () => lens.all()),
  ];
  const title = "Drag over a chart to zoom, double-click it to see all";
  const named = { class: "zoom", role: "group", "aria-label": "Zoom", title };
  const group = el("div", named, ...buttons);
  const show = () => {
    const idle = lens.zoom === null ? "" : null;
    for (const place of [0, 1, 3, 4]) mark(buttons[place], "disabled", idle);
  };
  lens.onChange(show);
  show();
  return group;
}
