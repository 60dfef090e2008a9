// The front page: the runs there are, the machines they were on, and runs side by side.

import { pageOf, read } from "./api.js";
import { stated, twoLines } from "./cells.js";
import { Compare } from "./compare.js";
import { byId, el, mark, put } from "./dom.js";
import { frontMachines } from "./frontmachines.js";
import { showLink } from "./link.js";
import { Table, number } from "./table.js";
import { offer } from "./theme.js";
import * as words from "./words.js";

const EVERY_MS = 3000;

/** Which runs are compared, kept in the page's address so that it can be passed on. */
class Chosen {
  constructor(changed) {
    this.names = new Set(new URLSearchParams(location.search).getAll("run"));
    this._changed = changed;
  }

  set(name, chosen) {
    if (chosen) this.names.add(name);
    else this.names.delete(name);
    const query = new URLSearchParams([...this.names].map((one) => ["run", one])).toString();
    history.replaceState(null, "", query ? `${location.pathname}?${query}` : location.pathname);
    this._changed();
  }
}

function columns(chosen) {
  return [
    { key: "name", title: "Run", sort: (r) => r.name, make: (cell) => runCell(cell, chosen) },
    {
      key: "state", title: "State", sort: (r) => r.phase,
      make: stated((r) => [r.phase, r.live ? "live" : ""], (r) => r.phase),
    },
    { ...number("step", "Step", (r) => r.step), make: twoLines(stepOf, partOf) },
    number("loss", "Loss", (r) => r.loss, words.number),
    {
      ...number("validation", "Validation", (r) => r.validation_loss),
      make: twoLines((r) => words.number(r.validation_loss), metricsOf),
    },
    number("speed", "Speed", (r) => r.samples_per_s, words.speed, "Samples per second"),
    {
      ...number("ranks", "Ranks", ranksOf),
      make: twoLines((r) => words.whole(ranksOf(r)), machinesOf),
    },
    {
      key: "model", title: "Model", sort: (r) => r.model,
      make: twoLines((r) => r.model || words.DASH, (r) => r.data),
    },
    {
      ...number("started", "Started", (r) => r.started_at),
      make: twoLines((r) => words.clock(r.started_at), lasted),
    },
    number("size", "Size", (r) => r.size_bytes, words.size),
  ];
}

function runCell(cell, chosen) {
  const box = el("input", { type: "checkbox" });
  const link = el("a", { class: "runname" });
  const more = el("div", { class: "soft small" });
  let name = "";
  box.addEventListener("change", () => chosen.set(name, box.checked));
  cell.append(el("span", { class: "pick" }, box, link), more);
  return (run) => {
    name = run.name;
    put(link, run.name);
    mark(link, "href", pageOf(run.name));
    mark(box, "aria-label", `Compare ${run.name}`);
    box.checked = chosen.names.has(run.name);
    put(more, [run.place, run.job].filter(Boolean).join(" · "));
  };
}

function stepOf(run) {
  const total = run.total_steps > 0 ? ` of ${words.whole(run.total_steps)}` : "";
  return `${words.whole(run.step)}${total}`;
}

function partOf(run) {
  return run.total_steps > 0 ? words.percent(run.step / run.total_steps) : "";
}

function metricsOf(run) {
  const found = Object.entries(run.metrics ?? {}).slice(0, 2);
  return found.map(([name, value]) => `${name} ${words.metric(name, value)}`).join(", ");
}

/** A number, or the ranks themselves. */
function ranksOf(run) {
  return Array.isArray(run.ranks) ? run.ranks.length : (run.ranks ?? null);
}

function machinesOf(run) {
  return words.many(run.machines?.length ?? 0, "machine");
}

function lasted(run) {
  const until = run.ended_at ?? (run.live ? Date.now() / 1000 : null);
  return run.started_at != null && until != null ? words.duration(until - run.started_at) : "";
}

function begin() {
  let runs = [];
  const compare = new Compare();
  const chosen = new Chosen(() => compare.show(runs, chosen.names));
  const table = new Table({
    caption: "Runs", columns: columns(chosen), id: (r) => r.name,
    sorted: { key: "started", down: true },
    find: (r) => `${r.name} ${r.phase} ${r.model} ${r.data} ${r.place} ${r.job}`,
    empty: "No run yet: evener run JOB starts one",
  });
  byId("runs-place").append(table.element);
  const machines = frontMachines();
  const look = async () => {
    if (document.hidden) return;
    try {
      ({ runs } = await read("/api/runs"));
      table.show(runs);
      machines.show(runs);
      compare.show(runs, chosen.names);
      showLink("live");
    } catch (error) {
      showLink("lost", error.message);
      if (runs.length === 0) put(byId("runs-said"), `Runs cannot be listed: ${error.message}`);
      return;
    }
    const live = runs.filter((run) => run.live).length;
    const counted = `${words.many(runs.length, "run")}, ${words.whole(live)} live`;
    put(byId("runs-said"), `${counted}. Tick two or more to compare them.`);
  };
  look();
  setInterval(look, EVERY_MS);
  document.addEventListener("visibilitychange", look);
}

offer(byId("theme"));
begin();
