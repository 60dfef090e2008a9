// The table of machines: what each is, gives, carries and has left.

import { metered, stated, timeBar, timeLegend, twoLines } from "./cells.js";
import * as clock from "./clock.js";
import { byId, el, put } from "./dom.js";
import { PARTS } from "./parts.js";
import { Table, number } from "./table.js";
import * as words from "./words.js";

const BY_RANKS = ["training", "parked", "built", "starting", "ended"]; // the first that one is in

const COLUMNS = [
  {
    key: "name", title: "Machine", sort: (m) => m.name || m.agent,
    make: twoLines((m) => m.name || m.agent, about),
  },
  {
    key: "state", title: "State", sort: (m) => condition(m)[0],
    make: stated(condition, (m) => condition(m)[2]),
  },
  {
    key: "devices", title: "Devices", sort: (m) => m.devices.join(),
    make: twoLines(devices, ranksOn),
  },
  {
    key: "share", title: "Share", numeric: true, sort: (m) => m.part, hint: "Of a step's samples",
    make: metered((m) => words.percent(m.part), (m) => m.part),
  },
  number("speed", "Own speed", (m) => m.speed, words.speed, "Its ranks' own speeds, added up"),
  {
    key: "time", title: "Where its time goes", sort: (m) => m.means.step_s || null,
    make: timeBar((m) => m.means),
  },
  {
    ...number("cpu", "Processors", (m) => m.load?.cpu_share),
    hint: "Busy, of those it may use, and their heat",
    make: metered(processors, (m) => m.load?.cpu_share, { lower: heat }),
  },
  {
    key: "memory", title: "Memory", numeric: true, sort: (m) => m.load?.memory_bytes,
    make: metered(memory, (m) => part(m.load?.memory_bytes, limit(m)), { most: 0.95 }),
  },
  { key: "gpus", title: "GPUs", sort: gpuBusy, hint: "Busy, heat, power, memory", make: gpus },
  {
    ...number("link", "Link", (m) => m.load?.sent_bytes_per_s), hint: "Network, sent and received",
    make: twoLines(
      (m) => `↑ ${words.flow(m.load?.sent_bytes_per_s)}`,
      (m) => `↓ ${words.flow(m.load?.received_bytes_per_s)}`,
    ),
  },
  {
    ...number("disk", "Disk", (m) => m.load?.disk_read_bytes_per_s), hint: "Read and written",
    make: twoLines(
      (m) => `read ${words.flow(m.load?.disk_read_bytes_per_s)}`,
      (m) => `written ${words.flow(m.load?.disk_write_bytes_per_s)}`,
    ),
  },
  {
    key: "seen", title: "Last step", numeric: true, sort: (m) => m.last_step,
    make: twoLines((m) => (m.last_step >= 0 ? words.whole(m.last_step) : words.DASH), heard),
  },
];

export function machines() {
  const table = new Table({
    caption: "Machines", columns: COLUMNS, id: (m) => m.agent, empty: "No machine has reported yet",
    find: (m) => `${m.name} ${m.agent} ${m.system} ${m.cpu_name} ${m.devices.join(" ")}`,
  });
  byId("machines-place").append(timeLegend(), table.element);
  let rows = [];
  setInterval(() => table.show(rows), 1000);
  return {
    show(state) {
      rows = rowsOf(state);
      table.show(rows);
    },
  };
}

function rowsOf(state) {
  const byAgent = new Map(state.machines.map((machine) => [machine.agent, []]));
  for (const rank of state.ranks) byAgent.get(rank.agent)?.push(rank);
  const total = sum(state.ranks.filter(works), "share");
  return state.machines.map((machine) => rowOf(machine, byAgent.get(machine.agent), total, state));
}

function rowOf(machine, ranks, total, state) {
  const working = ranks.filter(works);
  return {
    ...machine,
    ranks,
    live: state.live,
    part: total > 0 ? sum(working, "share") / total : null,
    speed: sum(working, "samples_per_s") || null,
    means: means(working.filter((rank) => rank.step_s > 0)),
    last_step: Math.max(-1, ...ranks.map((rank) => rank.last_step)),
    heard_at: Math.max(0, ...ranks.map((rank) => rank.heard_at)),
  };
}

const works = (rank) => ["training", "ended"].includes(rank.state);

function sum(ranks, field) {
  return ranks.reduce((total, rank) => total + (rank[field] ?? 0), 0);
}

function means(ranks) {
  const fields = [...PARTS.map((part) => part.field), "step_s"];
  const count = Math.max(ranks.length, 1);
  return Object.fromEntries(fields.map((field) => [field, sum(ranks, field) / count]));
}

/** In words, why, and as which kind it is drawn. */
function condition(machine) {
  const lost = machine.ranks.filter((rank) => rank.state === "lost").length;
  const drops = machine.load?.dropped ?? 0;
  const dropped = drops > 0 ? `${words.many(drops, "report")} dropped` : "";
  if (machine.ended) return ["left", dropped, "ended"];
  if (lost > 0) return [`${lost} of ${machine.ranks.length} lost`, dropped, "lost"];
  const states = new Set(machine.ranks.map((rank) => rank.state));
  if (states.size === 0) return ["here", dropped, "starting"];
  const kind = BY_RANKS.find((state) => states.has(state));
  return [kind ?? "here", dropped, kind ?? "starting"];
}

function about(machine) {
  return [machine.name ? machine.agent : "", machine.system].filter(Boolean).join(" · ");
}

function ranksOn(machine) {
  const numbers = machine.ranks.map((rank) => rank.rank);
  return numbers.length > 0 ? words.ranks(numbers) : "no rank";
}

function processors(machine) {
  return `${words.percent(machine.load?.cpu_share)} of ${machine.cpus || words.DASH}`;
}

function heat(machine) {
  return machine.load?.temperature_c == null ? "" : words.degrees(machine.load.temperature_c);
}

function devices(machine) {
  const counts = new Map();
  for (const name of machine.devices) counts.set(name, (counts.get(name) ?? 0) + 1);
  const named = [...counts].map(([name, n]) => (n > 1 ? `${n} × ${name}` : name));
  return named.join(", ") || machine.cpu_name || words.DASH;
}

function limit(machine) {
  return machine.load?.memory_limit_bytes ?? (machine.memory_bytes || null);
}

function memory(machine) {
  const used = machine.load?.memory_bytes;
  return used == null ? words.size(limit(machine)) : words.sizeOf(used, limit(machine));
}

function part(some, all) {
  return some != null && all > 0 ? some / all : null;
}

function gpuBusy(machine) {
  const all = (machine.load?.gpus ?? []).map((gpu) => gpu.busy_share);
  const known = all.filter((busy) => busy != null);
  return known.length > 0 ? known.reduce((a, b) => a + b) / known.length : null;
}

/** Two lines for each GPU. */
function gpus(cell) {
  const lines = [];
  return (machine) => {
    const told = (machine.load?.gpus ?? []).flatMap(gpuLines);
    if (told.length === 0) told.push([words.DASH, ""]);
    while (lines.length < told.length) lines.push(cell.appendChild(el("div")));
    while (lines.length > told.length) lines.pop().remove();
    lines.forEach((line, i) => {
      put(line, told[i][0]);
      line.title = told[i][1];
      line.className = i % 2 === 0 ? "" : "soft small";
    });
  };
}

function gpuLines(gpu) {
  const work = [words.percent(gpu.busy_share)];
  if (gpu.temperature_c != null) work.push(words.degrees(gpu.temperature_c));
  if (gpu.power_w != null) {
    const most = gpu.power_limit_w ? ` of ${Math.round(gpu.power_limit_w)}` : "";
    work.push(`${Math.round(gpu.power_w)}${most} W`);
  }
  const memory = words.sizeOf(gpu.memory_bytes, gpu.memory_limit_bytes);
  return [[work.join(" · "), gpu.name], [memory, gpu.uuid]];
}

function heard(machine) {
  if (!(machine.heard_at > 0)) return "";
  return machine.live ? words.ago(clock.now() - machine.heard_at) : words.clock(machine.heard_at);
}
