// What the model wrote, newest first; what the run has forgotten by now is kept here.

import { byId, el } from "./dom.js";
import { many, whole } from "./words.js";

const OPEN = 3;
const KEPT_MOST = 60;

export function texts() {
  const place = byId("texts-place");
  const none = el("p", { class: "empty" }, "No text yet");
  const newest = el("div", { class: "samples" });
  const summary = el("summary");
  const older = el("div", { class: "samples" });
  const more = el("details", { hidden: true }, summary, older);
  place.append(none, newest, more);
  const shown = new Set();
  const articles = []; // newest first
  return {
    show(state) {
      const fresh = state.texts.filter((text) => !shown.has(keyOf(text)));
      for (const text of fresh) {
        shown.add(keyOf(text));
        articles.unshift(articleOf(text));
      }
      if (fresh.length === 0) return;
      for (const article of articles.splice(KEPT_MOST)) article.remove();
      place.closest("section").hidden = false; // not every model writes
      byId("nav-texts").hidden = false;
      none.hidden = true;
      newest.replaceChildren(...articles.slice(0, OPEN));
      older.replaceChildren(...articles.slice(OPEN));
      more.hidden = articles.length <= OPEN;
      summary.textContent = many(articles.length - OPEN, "older one");
    },
  };
}

function keyOf({ step, prompt, text }) {
  return JSON.stringify([step, prompt, text]);
}

function articleOf({ step, prompt, text }) {
  const written = el("pre", { class: "written" }, el("strong", {}, prompt), text);
  return el("article", {}, el("h3", {}, `Step ${whole(step)}`), written);
}
