// What happened, in sentences: newest first, filtered by kind and by word, live.

import { address, read } from "./api.js";
import { button, byId, el, put } from "./dom.js";
import { painted } from "./frame.js";
import { kept, keep } from "./kept.js";
import * as words from "./words.js";

const AT_ONCE = 300;
const KEPT_MOST = 5000;
const SHOWN_MOST = 250; // more on demand
const GLYPHS = { note: "·", good: "✓", warning: "!", bad: "×" };
// Kinds of events by what they are about; what is in none is "other".
const ABOUT = {
  members: {
    title: "Joins, losses, recoveries",
    kinds: [
      "RankStarted", "RankLost", "RankParked", "RankLeftOut", "GenerationFormed", "StepCommitted",
      "MachineSeen", "AgentEnded", "Recovery", "Recovered",
    ],
  },
  shares: { title: "Shares", kinds: ["SharesChanged"] },
  checkpoints: {
    title: "Checkpoints", kinds: ["CheckpointWritten", "CheckpointHome", "CheckpointDropped", "Exported"],
  },
  alerts: { title: "Alerts", kinds: ["Alert", "ReplicasCompared"] },
  run: { title: "Start and end", kinds: ["RunStarted", "StopAsked", "RunEnded", "DataPrepared"] },
  values: { title: "Validation, texts", kinds: ["Validated", "TextSampled"] },
  other: { title: "Other", kinds: [] },
};
const DRAWN = ["members", "shares", "checkpoints", "alerts", "run"]; // on the charts

export class Timeline {
  constructor(run, changed) {
    this._run = run;
    this._changed = changed;
    this._items = []; // by seq, oldest first
    this._more = false; // there are older ones
    this._shown = SHOWN_MOST;
    this._rows = new Map();
    const off = (kept("timeline-off") ?? "").split(" ");
    this._on = new Set(Object.keys(ABOUT).filter((about) => !off.includes(about)));
    this._place = byId("timeline-place");
    this._build();
    this._ask = painted(this._place, () => this._paint());
  }

  async load() {
    try {
      const { items } = await read(address(this._run, ["timeline"], { limit: AT_ONCE }));
      this._more = items.length >= AT_ONCE;
      this._merge(items);
    } catch (error) {
      put(this._said, `The timeline cannot be read: ${error.message}`);
    }
  }

  append(items) {
    if (items?.length) this._merge(items);
  }

  /** What is drawn onto charts: `{step, time, level, text}`, oldest first. */
  drawn() {
    return this._items.filter((item) => {
      const about = aboutOf(item);
      return DRAWN.includes(about) && this._on.has(about) && loud(item);
    });
  }

  _merge(items) {
    const all = new Map([...this._items, ...items].map((item) => [keyOf(item), item]));
    const inOrder = [...all.values()].sort((a, b) => a.seq - b.seq);
    this._items = inOrder.slice(-KEPT_MOST);
    this._ask();
    this._changed();
  }

  _build() {
    const boxes = Object.entries(ABOUT).map(([about, { title }]) => this._box(about, title));
    this._quiet = el("input", { type: "checkbox" });
    this._word = el("input", { type: "search", id: "timeline-word", spellcheck: "false" });
    this._quiet.addEventListener("change", () => this._ask());
    this._word.addEventListener("input", () => this._ask());
    const named = { "aria-label": "What happened, newest first", tabindex: "0" };
    this._list = el("ol", { class: "events", reversed: true, ...named });
    this._said = el("p", { class: "empty" });
    this._older = button("Earlier", () => this._earlier(), { class: "quiet" });
    const legend = el("legend", {}, "Shown here and on the charts");
    const choice = el("fieldset", { class: "choice" }, legend, ...boxes);
    const tools = el(
      "div", { class: "tools" },
      el("label", { for: "timeline-word" }, "Find"), this._word,
      el("label", { class: "check" }, this._quiet, "with details"),
    );
    this._place.append(choice, tools, this._list, this._said, this._older);
  }

  _box(about, title) {
    const box = el("input", { type: "checkbox", checked: this._on.has(about) });
    box.addEventListener("change", () => {
      if (box.checked) this._on.add(about);
      else this._on.delete(about);
      keep("timeline-off", Object.keys(ABOUT).filter((one) => !this._on.has(one)).join(" "));
      this._ask();
      this._changed();
    });
    return el("label", { class: "check" }, box, title);
  }

  async _earlier() {
    this._shown += SHOWN_MOST;
    if (this._more && this._items.length < this._shown) {
      this._older.disabled = true;
      const query = { before: this._items[0]?.seq, limit: AT_ONCE };
      try {
        const { items } = await read(address(this._run, ["timeline"], query));
        this._more = items.length >= AT_ONCE;
        this._merge(items);
      } catch (error) {
        put(this._said, `Earlier ones cannot be read: ${error.message}`);
      }
      this._older.disabled = false;
    }
    this._ask();
  }

  _wanted() {
    const word = this._word.value.trim().toLowerCase();
    return this._items.filter(
      (item) =>
        this._on.has(aboutOf(item)) &&
        (loud(item) || this._quiet.checked || word !== "") &&
        (word === "" || item.text.toLowerCase().includes(word)),
    );
  }

  _paint() {
    const found = this._wanted();
    const shown = found.slice(-this._shown).reverse();
    const keyed = shown.map((item) => [keyOf(item), item]);
    const rows = new Map(keyed.map(([key, item]) => [key, this._rows.get(key) ?? rowOf(item)]));
    for (const [key, row] of this._rows) if (!rows.has(key)) row.remove();
    let next = this._list.firstChild;
    for (const row of rows.values()) {
      if (row === next) next = next.nextSibling;
      else this._list.insertBefore(row, next);
    }
    this._rows = rows;
    this._said.hidden = found.length > 0;
    const none = this._items.length > 0 ? "None is like that" : "Nothing happened yet";
    if (found.length === 0) put(this._said, none);
    this._older.hidden = !this._more && found.length <= this._shown;
  }
}

/** A loss that was overcome is told with the step after it: two items of one number. */
function keyOf(item) {
  return `${item.seq} ${item.text}`;
}

function aboutOf(item) {
  if (item.level === "bad" && item.kind !== "RunEnded") return "alerts";
  return Object.keys(ABOUT).find((about) => ABOUT[about].kinds.includes(item.kind)) ?? "other";
}

/** A move of shares is quiet where a table shows them; here it is what is looked for. */
function loud(item) {
  return !item.quiet || item.kind === "SharesChanged";
}

function rowOf(item) {
  const level = Object.hasOwn(GLYPHS, item.level) ? item.level : "note";
  const glyph = el("span", { class: "glyph", "aria-hidden": "true" }, GLYPHS[level]);
  const serious = level === "warning" || level === "bad";
  const spoken = serious ? el("span", { class: "unseen" }, `${level}: `) : null;
  const time = el("time", {}, words.clock(item.time));
  const at = item.step == null ? "" : `step ${words.whole(item.step)}`;
  const step = el("span", { class: "at" }, at);
  const text = el("span", { class: "text" }, spoken, item.text);
  return el("li", { class: `event ${level}` }, glyph, time, step, text);
}
