// The page of a run: wires what comes in to what is shown.

import { actions } from "./actions.js";
import { address, read, runOfPage } from "./api.js";
import { checkpoints } from "./checkpoints.js";
import * as clock from "./clock.js";
import { controls } from "./controls.js";
import { Curves } from "./curves.js";
import { byId, put } from "./dom.js";
import { ENDED, header, spoken } from "./header.js";
import { job } from "./job.js";
import { Lens } from "./lens.js";
import { showLink, speak } from "./link.js";
import { Logs } from "./logs.js";
import { machines } from "./machines.js";
import { notices } from "./notices.js";
import { ranks } from "./ranks.js";
import { Ruler } from "./ruler.js";
import { Series } from "./series.js";
import { countsSamples } from "./speed.js";
import { spending } from "./spending.js";
import { Stream } from "./stream.js";
import { texts } from "./texts.js";
import { offer } from "./theme.js";
import { throughput } from "./throughput.js";
import { Timeline } from "./timeline.js";
import { Timings } from "./timings.js";

const RELOAD_MS = 5000; // at most so often everything is fetched again
const HEARD_MS = 1500; // a stream that is held back somewhere does not hold back the charts
const LOOK_MS = 10000; // whether a run that is not live is resumed, or can be reached by now

class Page {
  constructor(run) {
    this.run = run;
    this.state = null;
    this.lens = new Lens();
    this.series = new Series(run, () => this._ask());
    this.timings = new Timings(run, () => this._ask());
    this.ruler = new Ruler(() => this.series.get("loss"));
    this.timeline = new Timeline(run, () => this._ask());
    this.marks = () => (this.lens.marks ? (this._marked ??= this._marks()) : []);
    this._marked = null; // until something changes: every chart asks for the same
    this._charts = [];
    this._views = [
      header(run), notices(), actions(run), machines(), ranks(), checkpoints(run), texts(),
      new Logs(run),
    ];
    this._stream = new Stream(run, this._hearing());
    this._reloaded = 0;
    this._reloading = 0;
  }

  async begin() {
    byId("controls-place").append(controls(this.lens, { marks: true }));
    this.lens.onChange(() => this._ask());
    job(this.run);
    await this._look();
    if (this._stream.open) await Promise.race([this._stream.heard, pause(HEARD_MS)]);
    this.series.load(["loss"]);
    this.timeline.load();
    this._charts = [new Curves(this), throughput(this), spending(this)];
    this._ask();
    setInterval(() => this._look(), LOOK_MS);
  }

  /** Reads the state where nobody tells it; listens as soon as somebody does. */
  async _look() {
    if (this._stream.open || document.hidden) return;
    try {
      const state = await read(address(this.run, ["state"]));
      this._show(state);
      if (state.live) this._stream.start(this._charts.length > 0);
      else if (!this._over()) showLink("record", "Nothing writes to this run now");
    } catch (error) {
      if (!this._over()) showLink("lost", error.message);
      if (this.state === null) put(byId("what"), `This run cannot be shown: ${error.message}`);
    }
  }

  /** Whether the page has been told that the run is over: it need not say so again. */
  _over() {
    return byId("link").dataset.link === "over";
  }

  _hearing() {
    return {
      state: (state) => this._show(state),
      news: (news) => this._news(news),
      reload: () => this._reload(),
      end: () => speak("The run is over. This page is no longer live and keeps what it shows."),
      link: (what) => showLink(what, what === "over" ? "The run is over; this page is kept" : ""),
    };
  }

  _show(state) {
    const before = this.state;
    this.state = state;
    clock.set(state.now);
    this.series.batch = this.ruler.batch = state.global_batch || 1;
    this.ruler.start_s = state.started_at;
    this.timings.expected = state.ranks.length;
    for (const id of ["time", "nav-time"]) byId(id).hidden = !countsSamples(state);
    for (const view of this._views) view.show(state);
    if (before?.started_at !== state.started_at) this._ask();
    if (before !== null) this._speak(before, state);
  }

  /** What changes the picture of the run is spoken; that it moves on is not. */
  _speak(before, state) {
    const lost = (of) => of.ranks.filter((rank) => rank.state === "lost").length;
    const ever = (of) => of.ranks.reduce((sum, rank) => sum + rank.losses, 0);
    if (before.phase !== state.phase) {
      const why = ENDED.includes(state.phase) ? (state.error?.what ?? state.reason) : "";
      speak(`The run is ${spoken(state)}. ${why}`);
    } else if (lost(before) !== lost(state) || ever(before) < ever(state)) {
      const many = `${lost(state)} of ${state.ranks.length} ranks are lost.`;
      const again = ever(before) < ever(state); // so fast that nobody saw it lost
      const back = again ? "A rank was lost and is back." : "All ranks are back.";
      speak(lost(state) > 0 ? many : back);
    }
  }

  _news({ points, timings, timeline }) {
    this.series.append(points);
    this.timings.append(timings);
    this.timeline.append(timeline);
  }

  _reload() {
    const wait = this._reloaded + RELOAD_MS - performance.now();
    clearTimeout(this._reloading);
    if (wait > 0 && this._reloaded > 0) {
      this._reloading = setTimeout(() => this._reload(), wait);
      return;
    }
    this._reloaded = performance.now();
    this.series.reload();
    this.timings.again();
    this.timeline.load();
  }

  _marks() {
    const { mode } = this.lens;
    return this.timeline
      .drawn()
      .map((item) => ({ ...item, x: this.ruler.place(mode, item.step, item.time) }))
      .filter((item) => item.x !== null)
      .sort((a, b) => a.x - b.x);
  }

  _ask() {
    this._marked = null;
    for (const chart of this._charts) chart.ask();
  }
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

offer(byId("theme"));
new Page(runOfPage()).begin();
