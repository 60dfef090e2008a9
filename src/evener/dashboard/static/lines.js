// Makes the picture of curves: each a line, with what it was thinned or smoothed from behind it.

import { ascending } from "./ruler.js";
import { smoothed } from "./smoothing.js";
import { colour, faint } from "./theme.js";
import uPlot from "./vendor/uplot/uPlot.js";

const DOTS_MOST = 60; // a curve of so few points shows them

/**
 * `curves`: `{label, colour, dash, steady, x, low, high, mean, exact}`; a `steady` one is a mean
 * already and not smoothed; labels in `hidden` are left out.
 * A picture is `{key, data, series, bands, curves, log, floor}`: what a chart draws, what it must
 * be built anew for, and the same as values for its legend, its text and its table.
 */
export function lines(curves, { smoothing = 0, log = false, hidden = new Set() } = {}) {
  const drawing = { tables: [], series: [{}], bands: [], smoothing, log };
  const told = curves.map((curve) => {
    const column = hidden.has(curve.label) ? null : draw(drawing, curve);
    return { label: curve.label, colour: curve.colour, dash: curve.dash, column };
  });
  const data = drawing.tables.length > 0 ? uPlot.join(drawing.tables) : [[]];
  for (const curve of told) curve.values = curve.column === null ? [] : data[curve.column];
  const { series, bands } = drawing;
  return { key: keyOf(drawing, told), data, series, bands, curves: told, log, floor: null };
}

function keyOf({ series, log }, told) {
  return JSON.stringify([series.map((s) => s.kind), told.map((c) => [c.label, c.column]), log]);
}

/** Adds a curve's columns and returns which one is its line. */
function draw(drawing, curve) {
  const { tables, series, smoothing, log } = drawing;
  const [x, low, high, mean] = ascending([curve.x, curve.low, curve.high, curve.mean]);
  const table = [x];
  const push = (values, style) => {
    table.push(log ? positive(values) : values);
    series.push(style);
    return series.length - 1;
  };
  if (!curve.exact) band(drawing, curve, push, low, high);
  const smooths = smoothing > 0 && !curve.steady;
  if (smooths) push(mean, raw(curve));
  const column = push(smooths ? smoothed(mean, smoothing) : mean, style(curve, x.length, smooths));
  tables.push(table);
  return column;
}

function band({ bands }, curve, push, low, high) {
  const unseen = { kind: "edge", width: 0, points: { show: false } };
  const upper = push(high, { ...unseen });
  const lower = push(low, { ...unseen });
  bands.push({ series: [upper, lower], fill: () => faint(curve.colour, 0.16) });
}

function raw(curve) {
  const stroke = () => faint(curve.colour, 0.35);
  return { kind: "raw", width: 1, stroke, points: { show: false } };
}

function style(curve, count, smooths) {
  const stroke = () => colour(curve.colour);
  const few = count <= DOTS_MOST && !smooths;
  const points = { show: few, size: 5, width: 0, fill: stroke, stroke };
  return { kind: few ? "dots" : "line", width: 1.75, stroke, dash: curve.dash, points };
}

/** A logarithm has no place for what is not above zero. */
function positive(values) {
  return values.map((value) => (value > 0 ? value : null));
}
