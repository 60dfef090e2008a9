// Listens to a run's events, and says whether anybody tells them still.

import { address } from "./api.js";

const PATIENCE_MS = 2500; // a connection that comes back within it was never seen to be gone
const AGAIN_MS = [2000, 4000, 8000, 15000]; // where the browser itself gives up

/** `hear` has `state`, `news`, `reload` and `end`, and `link("live" | "lost" | "over")`. */
export class Stream {
  constructor(run, hear) {
    this._url = address(run, ["stream"]);
    this._hear = hear;
    this._tries = 0;
    this._timer = 0;
    this._gap = false; // something may have been missed
    this._source = null;
    /** Fulfilled with the first state: between what is asked for then and the news is no gap. */
    this.heard = new Promise((resolve) => (this._heard = resolve));
  }

  get open() {
    return this._source !== null;
  }

  /** `missed`: charts that are shown already lack what happened until now. */
  start(missed = false) {
    if (this._source !== null) return;
    this._gap ||= missed;
    const source = (this._source = new EventSource(this._url));
    source.addEventListener("open", () => this._opened());
    source.addEventListener("error", () => this._failed(source));
    source.addEventListener("state", (event) => this._told("state", event));
    source.addEventListener("news", (event) => this._told("news", event));
    source.addEventListener("reload", () => this._hear.reload());
    source.addEventListener("end", () => this._ended());
  }

  stop() {
    clearTimeout(this._timer);
    this._source?.close();
    this._source = null;
  }

  _opened() {
    clearTimeout(this._timer);
    this._timer = 0;
    this._tries = 0;
    this._hear.link("live");
    if (this._gap) this._hear.reload();
    this._gap = false;
  }

  _told(what, event) {
    let told = null;
    try {
      told = JSON.parse(event.data);
    } catch {
      console.warn(`stream: ${what} cannot be read`);
      return;
    }
    this._hear[what](told);
    this._heard();
  }

  /** The browser tries again by itself, unless it was refused. */
  _failed(source) {
    if (source !== this._source) return;
    if (source.readyState === EventSource.CLOSED) {
      this.stop();
      this._gap = true; // a new source does not know where the last one was
      const wait = AGAIN_MS[Math.min(this._tries++, AGAIN_MS.length - 1)];
      this._hear.link("lost");
      this._timer = setTimeout(() => this.start(), wait);
    } else if (this._timer === 0) {
      this._timer = setTimeout(() => this._hear.link("lost"), PATIENCE_MS);
    }
  }

  _ended() {
    this.stop();
    this._hear.link("over");
    this._hear.end();
  }
}
