// Says at the top of a page whether what it shows is live.

import { byId, mark, put } from "./dom.js";

const WORDS = {
  reading: "connecting",
  live: "live",
  lost: "connection lost, trying again",
  over: "no longer live",
  record: "a record, not live",
};

/** `what` is one of the keys above; `why` is shown where the pointer rests. */
export function showLink(what, why = "") {
  const place = byId("link");
  mark(place, "data-link", what);
  mark(place, "title", why || null);
  put(byId("link-text"), WORDS[what]);
}

/** Spoken by a screen reader, once. */
export function speak(text) {
  put(byId("spoken"), text);
}
