// The machines that runs were on, each once, with what it has and which runs it was in.

import { pageOf } from "./api.js";
import { stated, twoLines } from "./cells.js";
import { byId, el, mark, put } from "./dom.js";
import { Table, number } from "./table.js";
import * as words from "./words.js";

const NAMED = 3; // runs; more are counted

const COLUMNS = [
  {
    key: "name", title: "Machine", sort: (m) => m.name,
    make: twoLines((m) => m.name, (m) => m.system ?? ""),
  },
  {
    key: "state", title: "State", sort: (m) => (busy(m) ? 0 : 1),
    make: stated((m) => [busy(m) ? "at work" : "idle"], (m) => (busy(m) ? "training" : "ended")),
  },
  {
    ...number("cpus", "Processors", (m) => m.cpus),
    make: twoLines((m) => (m.cpus > 0 ? String(m.cpus) : words.DASH), (m) => m.cpu_name ?? ""),
  },
  number("memory", "Memory", (m) => m.memory_bytes || null, words.size),
  { key: "devices", title: "Devices", sort: (m) => devices(m), text: devices },
  { key: "runs", title: "Runs", sort: (m) => m.runs.length, make: runLinks },
];

export function frontMachines() {
  const table = new Table({
    caption: "Machines", columns: COLUMNS, id: (m) => m.key, empty: "No run has seen a machine yet",
    find: (m) => `${m.name} ${m.cpu_name} ${devices(m)} ${m.runs.map((run) => run.name).join(" ")}`,
  });
  byId("machines-place").append(table.element);
  return { show: (runs) => table.show(rowsOf(runs)) };
}

/** Runs number their machines anew: one is known again by its name and what it is made of. */
function rowsOf(runs) {
  const found = new Map();
  for (const run of runs) {
    for (const machine of run.machines ?? []) {
      const name = machine.name || machine.agent;
      const key = JSON.stringify([name, machine.cpu_name, machine.cpus]);
      if (!found.has(key)) found.set(key, { ...machine, key, name, runs: [], live: [] });
      found.get(key).runs.push(run);
      if (run.live) found.get(key).live.push(run);
    }
  }
  return [...found.values()];
}

function busy(machine) {
  return machine.live.length > 0;
}

function devices(machine) {
  const names = (machine.devices ?? []).map((one) => one?.name ?? one?.kind ?? String(one));
  return names.join(", ") || words.DASH;
}

function runLinks(cell) {
  const links = Array.from({ length: NAMED }, () => el("a"));
  const more = el("span", { class: "soft" });
  cell.append(el("div", { class: "links" }, ...links, more));
  return (machine) => {
    const first = [...machine.live, ...machine.runs.filter((run) => !run.live)];
    links.forEach((link, i) => {
      link.hidden = i >= first.length;
      if (link.hidden) return;
      put(link, first[i].name);
      mark(link, "href", pageOf(first[i].name));
    });
    put(more, first.length > NAMED ? `and ${first.length - NAMED} more` : "");
  };
}
