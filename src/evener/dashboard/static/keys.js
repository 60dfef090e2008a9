// Moves a chart's cursor and its zoom by keys, and says what is there.

import { valueAt } from "./telling.js";

const FAR = 10; // points, with Shift

/** `chart` has `plot`, `picture`, `lens`, `format` and `say(text)`. */
export function steer(element, chart) {
  element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !chart.plot) return;
    const act = actions(chart, event.shiftKey ? FAR : 1)[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

function actions(chart, far) {
  const { plot, lens } = chart;
  const middle = plot.cursor.idx == null ? null : plot.data[0][plot.cursor.idx];
  const [first, last] = shown(plot);
  return {
    ArrowLeft: () => go(chart, (plot.cursor.idx ?? last + 1) - far),
    ArrowRight: () => go(chart, (plot.cursor.idx ?? first - 1) + far),
    Home: () => go(chart, first),
    End: () => go(chart, last),
    "+": () => lens.zoomBy(0.5, middle),
    "-": () => lens.zoomBy(2, middle),
    Escape: () => lens.all(),
    0: () => lens.all(),
  };
}

function shown(plot) {
  const [first, last] = plot.series[0].idxs;
  return [first ?? 0, last ?? plot.data[0].length - 1];
}

function go(chart, wanted) {
  const { plot, picture, lens, format } = chart;
  const [first, last] = shown(plot);
  const at = Math.min(Math.max(wanted, first), last);
  const left = plot.valToPos(plot.data[0][at], "x");
  plot.setCursor({ left, top: plot.over.clientHeight / 2 }, true, true);
  const told = picture.curves
    .filter((curve) => curve.column !== null)
    .map((curve) => `${curve.label} ${format(valueAt(curve.values, at))}`);
  chart.say(`${lens.say(plot.data[0][at])}: ${told.join(", ")}`);
}
