// Where the time of a step goes, over the run: of all ranks on average, or of one.

import { Chart } from "./chart.js";
import { byId, el } from "./dom.js";
import { steps } from "./curves.js";
import { OTHER, PARTS, otherOf } from "./parts.js";
import { stack } from "./stack.js";
import { interval } from "./words.js";

export function spending(page) {
  const all = el("option", { value: "" }, "all ranks, on average");
  const choice = el("select", { id: "spending-rank" }, all);
  const chart = new Chart({
    title: "Where the time of a step goes", lens: page.lens, marks: page.marks,
    format: interval, ticks: interval,
    compose: (hidden) => {
      offer(choice, page.timings.ranks);
      return compose(page, choice.value, hidden);
    },
  });
  choice.addEventListener("change", () => chart.ask());
  const label = el("label", { for: "spending-rank", class: "soft" }, "Time of");
  byId("spending-choice").append(label, choice);
  byId("spending-place").append(chart.element);
  return chart;
}

function offer(choice, ranks) {
  if (choice.options.length === ranks.length + 1) return;
  const known = new Set([...choice.options].map((option) => option.value));
  for (const rank of ranks) {
    if (!known.has(String(rank))) choice.append(el("option", { value: rank }, `rank ${rank}`));
  }
}

function compose({ lens, timings, ruler }, chosen, hidden) {
  timings.load();
  const grid = lens.zoom === null ? timings.grid() : timings.grid(...steps(lens, ruler));
  if (grid.steps.length === 0) return null;
  const ranks = chosen === "" ? timings.ranks : [Number(chosen)];
  const mean = (field) => meanOf(ranks.map((rank) => grid.of(rank, field)), grid.steps.length);
  const columns = PARTS.map((part) => mean(part.field));
  const other = mean("step_s").map((step_s, i) => {
    return step_s === null ? null : otherOf(step_s, columns.map((column) => column[i]));
  });
  const values = [...columns, other];
  const layers = [...PARTS, OTHER].map((part, i) => ({ ...part, values: values[i] }));
  const xs = grid.steps.map((step) => ruler.place(lens.mode, step, null));
  return stack(xs, layers, { hidden });
}

function meanOf(columns, length) {
  const sums = new Float64Array(length);
  const counts = new Uint32Array(length);
  for (const column of columns) {
    for (let i = 0; i < length; i++) {
      if (column[i] === null) continue;
      sums[i] += column[i];
      counts[i] += 1;
    }
  }
  return Array.from(sums, (sum, i) => (counts[i] > 0 ? sum / counts[i] : null));
}
