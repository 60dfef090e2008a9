// What the chart library is told: one plot of a picture, its cursor, its zoom.

import { axes, scales } from "./scales.js";
import { el } from "./dom.js";

const DRAG_PX = 6; // a click is not a zoom
const NOTHING = { left: 0, top: 0, width: 0, height: 0 };

/** `moved(plot)` is called when the cursor moves. Charts of one lens share their cursor. */
export function options({ picture, lens, ticks, size, plugins, moved }) {
  return {
    ...size,
    series: picture.series,
    bands: picture.bands,
    scales: scales(picture, lens),
    axes: axes(picture, lens, ticks),
    legend: { show: false },
    padding: [10, 22, 0, 0],
    cursor: cursor(picture, lens),
    hooks: { setSelect: [(plot) => zoom(plot, lens)], setCursor: [moved] },
    plugins,
  };
}

const dot = () => el("div", { class: "dot" });

function cursor(picture, lens) {
  const lines = new Set(picture.curves.map((curve) => curve.column));
  return {
    y: false,
    drag: { x: true, y: false, setScale: false, dist: DRAG_PX },
    points: { show: (_, column) => (lines.has(column) ? dot() : null), size: 7 },
    bind: { dblclick: () => () => lens.all() },
    sync: {
      key: "charts",
      setSeries: false,
      scales: ["x", null],
      filters: { pub: (type) => type === "mousemove", sub: (type) => type === "mousemove" },
    },
  };
}

/** What was marked by dragging is what all charts show from now on. */
function zoom(plot, lens) {
  const { left, width } = plot.select;
  plot.setSelect(NOTHING, false); // while something is marked, the chart stands still
  if (width >= DRAG_PX) lens.zoomTo(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
}
