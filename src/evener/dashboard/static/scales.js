// The two scales and axes of a chart: their range, their ticks, their looks.

import { colour } from "./theme.js";
import uPlot from "./vendor/uplot/uPlot.js";

const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
const NARROWEST = 38; // CSS pixels of labels beside a chart

export function scales(picture, lens) {
  return {
    x: { time: false, range: (_, min, max) => lens.shown(min, max) },
    y: picture.log ? { distr: 3, range: logRange } : { range: range(picture.floor) },
  };
}

function range(floor) {
  return (_, min, max) => {
    if (min === null) return [0, 1];
    if (floor !== null) return [floor, max > floor ? floor + (max - floor) * 1.06 : floor + 1];
    return uPlot.rangeNum(min, max, 0.08, true);
  };
}

function logRange(_, min, max) {
  if (min === null) return [0.1, 1];
  const room = Math.max((max / min) ** 0.06, 1.02);
  return [min / room, max * room];
}

/** `ticks` writes a value beside the chart. */
export function axes(picture, lens, ticks) {
  const x = {
    ...looks(), size: 30, space: apart, incrs: lens.steps,
    values: (_, splits, __, ___, step) => splits.map((v) => lens.tick(v, step)),
  };
  const y = {
    ...looks(), size: width, space: 32,
    values: (_, splits) => splits.map((v) => (v === null ? "" : ticks(v))),
  };
  if (picture.log) Object.assign(y, { splits: logSplits, filter: (_, splits) => splits });
  return [x, y];
}

/** CSS pixels between labels, at least. */
function apart(_, __, ___, ____, width) {
  return width < 420 ? 52 : 76;
}

function looks() {
  const line = () => colour("line");
  return {
    font: FONT,
    stroke: () => colour("soft"),
    gap: 6,
    grid: { stroke: line, width: 1 },
    ticks: { stroke: line, width: 1, size: 4 },
  };
}

/** As wide as the longest label, once: two rounds must agree. */
function width(plot, values, axis, cycle) {
  if (cycle > 1) return plot.axes[axis]._size;
  const longest = Math.max(0, ...(values ?? []).map((value) => String(value ?? "").length));
  return Math.max(NARROWEST, Math.ceil(longest * 6.4) + 14);
}

/** Where a logarithmic axis has labels: at 1, 2 and 5 of each power, or evenly within one. */
function logSplits(_, __, min, max) {
  if (max / min < 8) return evenly(min, max, 5);
  const found = [];
  const powers = Math.log10(max / min);
  const figures = powers > 6 ? [1] : powers > 3 ? [1, 5] : [1, 2, 5];
  for (let power = Math.floor(Math.log10(min)); power <= Math.ceil(Math.log10(max)); power++) {
    for (const figure of figures) {
      const at = Number(`${figure}e${power}`);
      if (at >= min && at <= max) found.push(at);
    }
  }
  return found;
}

function evenly(min, max, about) {
  const rough = (max - min) / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const found = [];
  for (let i = Math.ceil(min / step); i * step <= max; i++) found.push(i * step);
  return found;
}
