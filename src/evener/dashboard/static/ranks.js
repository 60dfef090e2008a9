// The table of ranks: who does what share, how fast, where its time goes, how its machine fares.

import { metered, stated, timeBar, timeLegend, twoLines } from "./cells.js";
import * as clock from "./clock.js";
import { byId } from "./dom.js";
import { gpuOf, loadOf } from "./loads.js";
import { Table, number } from "./table.js";
import * as words from "./words.js";

const WORKING = ["training", "ended"]; // who has ended had the share it is shown with

const COLUMNS = [
  {
    key: "rank", title: "Rank", sort: (r) => r.rank,
    make: twoLines((r) => `rank ${r.rank}`, (r) => r.machine?.name || r.agent),
  },
  { key: "state", title: "State", sort: (r) => r.state, make: stated(condition, (r) => r.state) },
  {
    key: "device", title: "Device", sort: (r) => r.device,
    make: twoLines((r) => r.device || words.DASH, threads),
  },
  {
    key: "share", title: "Share", numeric: true, sort: (r) => r.share, hint: "Samples of a step",
    make: metered((r) => shareText(r), (r) => r.part),
  },
  {
    key: "speed", title: "Own speed", numeric: true, sort: (r) => r.samples_per_s || null,
    hint: "Samples per second while it computes, waiting left out",
    make: twoLines((r) => words.speed(r.samples_per_s || null), predicted),
  },
  {
    key: "time", title: "Where its time goes", sort: (r) => r.step_s || null,
    make: timeBar((r) => r),
  },
  number("step_s", "Step", (r) => r.step_s || null, words.interval, "What a step takes"),
  {
    ...number("load", "Busy", busy), hint: "Its GPU, else its machine's processors",
    make: metered((r) => words.percent(busy(r)), busy),
  },
  {
    ...number("memory", "Memory", (r) => r.memory_bytes || null),
    hint: "At its highest; below it, of the device or machine",
    make: twoLines((r) => words.size(r.memory_bytes || null), (r) => within(r)),
  },
  {
    key: "heat", title: "Heat, power", numeric: true, sort: (r) => heat(r),
    make: twoLines((r) => words.degrees(heat(r)), (r) => power(gpuOf(r))),
  },
  {
    ...number("link", "Link", (r) => loadOf(r)?.sent_bytes_per_s),
    hint: "Sent and received by its machine",
    make: twoLines(
      (r) => `↑ ${words.flow(loadOf(r)?.sent_bytes_per_s)}`,
      (r) => `↓ ${words.flow(loadOf(r)?.received_bytes_per_s)}`,
    ),
  },
  {
    key: "seen", title: "Last step", numeric: true, sort: (r) => r.last_step,
    make: twoLines((r) => (r.last_step >= 0 ? words.whole(r.last_step) : words.DASH), heard),
  },
];

export function ranks() {
  const table = new Table({
    caption: "Ranks", columns: COLUMNS, id: (r) => r.rank, empty: "No rank has reported yet",
    find: (r) => `rank ${r.rank} ${r.device} ${r.state} ${r.agent} ${r.machine?.name ?? ""}`,
  });
  byId("ranks-place").append(timeLegend(), table.element);
  let rows = [];
  setInterval(() => table.show(rows), 1000); // "3 s ago" goes on
  return {
    show(state) {
      rows = rowsOf(state);
      table.show(rows);
    },
  };
}

function rowsOf(state) {
  const machines = new Map(state.machines.map((machine) => [machine.agent, machine]));
  const total = state.ranks.reduce((sum, r) => sum + (WORKING.includes(r.state) ? r.share : 0), 0);
  return state.ranks.map((rank) => ({
    ...rank,
    live: state.live,
    machine: machines.get(rank.agent),
    part: WORKING.includes(rank.state) && total > 0 ? rank.share / total : null,
  }));
}

function condition(rank) {
  const reason = { lost: rank.lost_reason, parked: rank.parked_reason }[rank.state];
  if (reason) return [rank.state, reason];
  const back = rank.losses > 0 && rank.state === "training";
  return [rank.state, back ? `back, lost ${rank.losses} ×` : ""];
}

function shareText(rank) {
  if (rank.part === null) return words.DASH;
  return `${words.whole(rank.share)} · ${words.percent(rank.part)}`;
}

function threads(rank) {
  return rank.threads > 0 ? words.many(rank.threads, "thread") : "";
}

function predicted(rank) {
  return rank.predicted_s > 0 ? `foreseen ${words.interval(rank.predicted_s)}` : "";
}

function busy(rank) {
  return gpuOf(rank)?.busy_share ?? loadOf(rank)?.cpu_share ?? null;
}

function heat(rank) {
  return gpuOf(rank)?.temperature_c ?? loadOf(rank)?.temperature_c ?? null;
}

function power(gpu) {
  return gpu?.power_w == null ? "" : `${Math.round(gpu.power_w)} W`;
}

function within(rank) {
  const of = gpuOf(rank) ?? loadOf(rank);
  if (of?.memory_bytes == null) return "";
  return words.sizeOf(of.memory_bytes, of.memory_limit_bytes);
}

function heard(rank) {
  if (!(rank.heard_at > 0)) return "";
  return rank.live ? words.ago(clock.now() - rank.heard_at) : words.clock(rank.heard_at);
}
