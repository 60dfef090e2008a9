// The head of a run's page: what state it is in, how far it is, how fast, compared with what.

import * as clock from "./clock.js";
import { byId, el, mark, put, visible } from "./dom.js";
import { painted } from "./frame.js";
import { countsSamples, oneRankEach, ofOwnSpeeds, ofPossible, speedOf, speedUp } from "./speed.js";
import * as words from "./words.js";
import { DASH } from "./words.js";

export const ENDED = ["finished", "stopped", "failed"];

// Those of `samples` are not known of a script that does all by itself.
const FIGURES = [
  { title: "Time left", main: (s) => words.duration(s.eta_s), sub: endsAt },
  {
    title: "Speed", samples: true, main: (s) => words.speed(s.samples_per_s),
    sub: (s) => `${words.interval(s.step_s)} a step`,
    hint: "Samples per second, over the last steps",
  },
  {
    title: "Speed-up", samples: true, main: times,
    sub: (s) => `the fastest ${oneRankEach(s) ? "machine" : "rank"} alone`,
    hint: "The run's speed over that of the fastest one, were it to do the whole batch alone",
  },
  {
    title: "Of the possible", samples: true, main: (s) => words.percent(ofPossible(s)),
    sub: (s) => `of ${words.speed(s.possible_samples_per_s)}`,
    hint: "Measured speed against that of the best shares",
  },
  {
    title: "Of own speeds", samples: true, main: (s) => words.percent(ofOwnSpeeds(s)),
    sub: (s) => `of ${words.speed(s.alone_samples_per_s)}`,
    hint: "Measured speed against what the ranks do by themselves, added up",
  },
  {
    title: "Loss", main: (s) => words.number(s.loss),
    sub: (s) => `smoothed ${words.number(s.loss_smoothed)}`,
  },
  { title: "Validation", main: (s) => words.number(s.validation?.loss), sub: best },
  { title: "Ranks", main: atWork, sub: machinesOf },
  {
    title: "Batch", samples: true, main: (s) => words.whole(s.global_batch || null),
    sub: (s) => `learning rate ${words.number(s.lr, 3)}`,
  },
  { title: "Running for", main: lasted, sub: (s) => `since ${words.clock(s.started_at)}` },
];

let titled = "";

export function header(name) {
  const figures = FIGURES.map(figureOf);
  byId("figures").append(...figures.map((figure) => figure.element));
  put(byId("name"), name);
  let state = null;
  const ask = painted(document.body, () => {
    drawProgress(state);
    for (const figure of figures) figure.draw(state);
  });
  setInterval(() => state !== null && !ENDED.includes(state.phase) && ask(), 1000);
  return {
    show(shown) {
      state = shown;
      title(name, state);
      ask();
    },
  };
}

function figureOf({ title: name, hint, samples, main, sub }) {
  const value = el("dd");
  const more = el("dd", { class: "soft small" });
  const element = el("div", { title: hint }, el("dt", {}, name), value, more);
  const draw = (state) => {
    element.hidden = samples === true && !countsSamples(state);
    put(value, main(state));
    const said = sub(state);
    put(more, said.includes(DASH) ? "" : said); // half a sentence is none
  };
  return { element, draw };
}

function drawProgress(state) {
  const known = state.total_steps > 0;
  const part = known ? state.step / state.total_steps : 0;
  put(byId("phase"), state.phase || "starting");
  mark(byId("phase"), "data-phase", state.phase);
  put(byId("what"), about(state));
  const bar = byId("bar");
  bar.value = Math.min(part, 1);
  mark(bar, "aria-valuetext", known ? `${words.percent(part)} of all steps` : "not known yet");
  const total = known ? ` of ${words.whole(state.total_steps)}` : "";
  put(byId("step"), `Step ${words.whole(state.step)}${total}`);
  put(byId("epoch"), epoch(state));
  put(byId("part"), known ? words.percent(part, part < 0.1 ? 1 : 0) : "");
}

function about(state) {
  const parts = [
    state.model && state.data ? `${state.model} on ${state.data}` : state.model || state.data,
    state.parameters > 0 ? `${words.count(state.parameters)} parameters` : "",
    state.place, state.job, state.resumed ? "resumed" : "",
    state.phase === "stopping" ? state.stop_reason : state.reason,
    state.skipped_steps > 0 ? `${words.many(state.skipped_steps, "step")} skipped` : "",
  ];
  return parts.filter(Boolean).join(" · ");
}

/** Counted from one, as people count. */
function epoch(state) {
  if (!(state.steps_per_epoch > 0)) return "";
  const total = Math.max(Math.ceil(state.total_steps / state.steps_per_epoch), 1);
  return `epoch ${Math.min(state.epoch + 1, total)} of ${total}`;
}

function endsAt(state) {
  const ended = ENDED.includes(state.phase);
  if (ended || state.eta_s == null) return ended ? `ended ${words.clock(state.ended_at)}` : "";
  return `until about ${words.clock(clock.now() + state.eta_s).slice(0, -3)}`;
}

function times(state) {
  const factor = speedUp(state);
  return factor === null ? DASH : `${factor.toFixed(2)} ×`;
}

function best(state) {
  const { best_validation: found, validation } = state;
  if (!found) return "not yet";
  if (found.step === validation?.step) return `at step ${words.whole(found.step)}, the best`;
  return `best ${words.number(found.loss)} at ${words.whole(found.step)}`;
}

function atWork(state) {
  const at = state.ranks.filter((rank) => rank.state === "training").length;
  const all = Math.max(state.ranks.length, state.ranks_asked ?? 0);
  const ended = ENDED.includes(state.phase);
  if (all === 0) return DASH;
  return ended ? words.whole(all) : `${words.whole(at)} of ${words.whole(all)}`;
}

function machinesOf(state) {
  return state.machines.length > 0 ? words.many(state.machines.length, "machine") : "";
}

function lasted(state) {
  if (state.started_at == null) return DASH;
  const until = state.ended_at ?? (state.live ? clock.now() : state.updated_at);
  return words.duration(until - state.started_at);
}

function title(name, state) {
  const part = state.total_steps > 0 ? `${words.percent(state.step / state.total_steps)} ` : "";
  const shown = ENDED.includes(state.phase) ? `${state.phase} ` : part;
  const text = visible(`${shown}${name} · evener`);
  if (text !== titled) document.title = titled = text; // reading it back is slow
}

/** The speed that a spoken summary gives. */
export function spoken(state) {
  return `${state.phase}, step ${words.whole(state.step)}, ${words.speed(speedOf(state))}`;
}
