// Makes the picture of layers that add up, each drawn on those below it.

import { hatch } from "./hatch.js";
import { ascending } from "./ruler.js";
import { colour, faint } from "./theme.js";

/**
 * `layers`: `{label, colour, weak, hatched, values}`, the lowest first; `over`: lines that do not
 * add up. The picture is as that of `lines`.
 */
export function stack(xs, layers, { over = [], hidden = new Set() } = {}) {
  const rows = [...layers, ...over].map((layer) => layer.values);
  const [x, ...columns] = ascending([xs, ...rows]);
  const picture = { data: [x], series: [{}], bands: [], curves: [], log: false, floor: 0 };
  const sums = new Array(x.length).fill(0);
  layers.forEach((layer, i) => lay(picture, layer, columns[i], sums, hidden));
  picture.bands = bandsBetween(layers.filter((layer) => !hidden.has(layer.label)).length);
  over.forEach((line, i) => cross(picture, line, columns[layers.length + i], hidden));
  picture.curves.reverse(); // a legend reads from the top
  picture.key = JSON.stringify(picture.curves.map((c) => [c.label, c.column]));
  return picture;
}

function lay(picture, layer, values, sums, hidden) {
  const { label } = layer;
  const shown = !hidden.has(label);
  picture.curves.push({
    label, colour: layer.colour, area: layer.hatched ? "hatched" : layer.weak ? "weak" : "full",
    column: shown ? picture.series.length : null, values: shown ? values : [],
  });
  if (!shown) return;
  values.forEach((value, i) => (sums[i] += value ?? 0));
  picture.data.push([...sums]);
  picture.series.push({
    width: 1, stroke: () => colour(layer.colour), points: { show: false },
    fill: (plot) => fillOf(plot, layer),
  });
}

function fillOf(plot, { colour: name, weak, hatched }) {
  return hatched ? hatch(plot.ctx, name) : faint(name, weak ? 0.4 : 0.72);
}

function cross(picture, line, values, hidden) {
  const { label, dash } = line;
  const shown = !hidden.has(label);
  const column = shown ? picture.series.length : null;
  picture.curves.push({ label, dash, colour: line.colour, column, values: shown ? values : [] });
  if (!shown) return;
  picture.data.push(values);
  const stroke = () => colour(line.colour);
  picture.series.push({ width: 1.5, stroke, dash, points: { show: false } });
}

/** Each layer is filled down to the one below it; the lowest down to zero. */
function bandsBetween(count) {
  const upper = Array.from({ length: Math.max(count - 1, 0) }, (_, i) => i + 2);
  return upper.map((i) => ({ series: [i, i - 1] }));
}
