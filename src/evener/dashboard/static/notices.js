// What a person should know first: why a run failed with what to do, and its alerts.

import { byId, el, put } from "./dom.js";
import { clock, many } from "./words.js";

export function notices() {
  const failure = byId("failure");
  const alerts = byId("alerts");
  const list = byId("alerts-list");
  let known = "";
  return {
    show(state) {
      showFailure(failure, state);
      const key = JSON.stringify(state.alerts);
      if (key === known) return;
      known = key;
      alerts.hidden = state.alerts.length === 0;
      put(byId("alerts-title"), many(state.alerts.length, "alert"));
      list.replaceChildren(...[...state.alerts].reverse().map(alertOf));
    },
  };
}

function showFailure(place, state) {
  const error = state.phase === "failed" ? (state.error ?? { what: state.reason }) : null;
  place.hidden = error === null;
  if (error === null) return;
  const code = error.code ? `${error.code}: ` : "";
  put(byId("failure-what"), `${code}${error.what || state.reason || "the run failed"}`);
  row("failure-where", error.where);
  row("failure-fix", error.fix);
}

function row(id, text) {
  const place = byId(id);
  place.parentElement.hidden = !text;
  put(place, text ?? "");
}

function alertOf({ time, level, text, rank }) {
  const serious = level === "warning";
  const glyph = el("span", { class: "glyph", "aria-hidden": "true" }, serious ? "!" : "·");
  const spoken = serious ? el("span", { class: "unseen" }, "warning: ") : null;
  const named = rank === null || text.startsWith(`rank ${rank} `) ? text : `rank ${rank}: ${text}`;
  const said = el("span", { class: "text" }, spoken, named);
  const kind = serious ? "warning" : "note";
  return el("li", { class: `event ${kind}` }, glyph, el("time", {}, clock(time)), said);
}
