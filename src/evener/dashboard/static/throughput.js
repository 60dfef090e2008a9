// How fast the ranks are together, each rank's part on the others', against their own speeds.

import { Chart } from "./chart.js";
import { byId } from "./dom.js";
import { steps } from "./curves.js";
import { stack } from "./stack.js";
import { speed } from "./words.js";

const LAYERS = 16; // more could not be told apart
const COLOURS = 8;

export function throughput(page) {
  const chart = new Chart({
    title: "Samples per second, by rank", lens: page.lens, marks: page.marks, format: speed,
    compose: (hidden) => compose(page, hidden),
  });
  byId("throughput-place").append(chart.element);
  return chart;
}

function compose({ lens, timings, ruler }, hidden) {
  timings.load();
  const grid = lens.zoom === null ? timings.grid() : timings.grid(...steps(lens, ruler));
  if (grid.steps.length === 0) return null;
  const ranks = timings.ranks.map((rank) => rowOf(rank, grid));
  const xs = grid.steps.map((step) => ruler.place(lens.mode, step, null));
  const own = added(ranks.map((rank) => rank.own));
  const over = [{ label: "own speeds, added up", colour: "ink", dash: [3, 3], values: own }];
  return stack(xs, layersOf(ranks), { over, hidden });
}

/** What a rank adds to the run: its share of a step, over the time that a step takes. */
function rowOf(rank, grid) {
  const share = grid.of(rank, "share");
  const step_s = grid.of(rank, "step_s");
  const values = share.map((n, i) => (n === null || !(step_s[i] > 0) ? null : n / step_s[i]));
  const total = values.reduce((sum, value) => sum + (value ?? 0), 0);
  return { rank, values, total, own: grid.of(rank, "samples_per_s") };
}

/** In the order of their numbers; of many, the fastest by name and the others as one. */
function layersOf(ranks) {
  const many = ranks.length > LAYERS;
  const fastest = many ? [...ranks].sort((a, b) => b.total - a.total).slice(0, LAYERS) : ranks;
  const named = [...fastest].sort((a, b) => a.rank - b.rank);
  const layers = named.map(({ rank, values }, i) => layer(`rank ${rank}`, i, values));
  if (!many) return layers;
  const rest = ranks.filter((rank) => !fastest.includes(rank));
  const values = added(rest.map((rank) => rank.values));
  return [...layers, { label: `${rest.length} others`, colour: "part-other", weak: true, values }];
}

function layer(label, i, values) {
  return { label, values, colour: `c${i % COLOURS}`, weak: i >= COLOURS };
}

function added(columns) {
  const sums = new Array(columns[0]?.length ?? 0).fill(null);
  for (const column of columns) {
    column.forEach((value, i) => {
      if (value !== null) sums[i] = (sums[i] ?? 0) + value;
    });
  }
  return sums;
}
