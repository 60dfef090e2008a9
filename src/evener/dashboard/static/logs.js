// The logs of a run: one at a time, live where it is followed, searched on the server.

import { address, read } from "./api.js";
import { byId, el, mark, put } from "./dom.js";
import { seen } from "./frame.js";
import { LogText } from "./logtext.js";
import * as words from "./words.js";

const BYTES = 65536;
const EVERY_MS = 1000;
const BEHIND_MOST = 4 * BYTES; // further behind than that the end is shown, not all there was
const LIST_EVERY_MS = 15000;

export class Logs {
  constructor(run) {
    this._run = run;
    this._name = "";
    this._size = 0;
    this._follows = true;
    this._live = false;
    this._busy = false;
    this._listed = 0;
    this._text = new LogText(byId("log-text"));
    this._seen = seen(byId("logs"));
    this._choice = byId("log-choice");
    this._said = byId("log-said");
    this._wire();
    setInterval(() => this._tick(), EVERY_MS);
  }

  show(state) {
    this._live = state.live;
  }

  _wire() {
    this._choice.addEventListener("change", () => this._try(() => this._open(this._choice.value)));
    byId("log-follow").addEventListener("click", () => this._follow(!this._follows));
    byId("log-earlier").addEventListener("click", () => this._earlier());
    byId("log-search").addEventListener("submit", (event) => {
      event.preventDefault();
      this._find(byId("log-word").value, 0);
    });
    byId("log-more").addEventListener("click", () => this._find(this._word, this._foundTo));
    byId("log-close").addEventListener("click", () => (byId("log-found").hidden = true));
    this._text.onLeave(() => this._follows && this._follow(false));
  }

  async _tick() {
    if (this._busy || !this._seen()) return;
    this._busy = true;
    try {
      if (this._listed === 0 || (this._live && Date.now() - this._listed > LIST_EVERY_MS)) {
        await this._list();
      }
      const grows = this._live || this._text.empty;
      if (this._name !== "" && this._follows && grows) await this._grow();
    } catch (error) {
      put(this._said, `The log cannot be read: ${error.message}`);
    }
    this._busy = false;
  }

  async _list() {
    this._listed = Date.now();
    const { logs } = await read(address(this._run, ["logs"]));
    const options = new Map([...this._choice.options].map((option) => [option.value, option]));
    for (const log of logs) {
      if (!options.has(log.name)) this._choice.append(el("option", { value: log.name }));
      const option = [...this._choice.options].find((one) => one.value === log.name);
      put(option, `${log.name} (${words.size(log.size_bytes)})`);
    }
    const first = logs.find((log) => log.name.startsWith("rank_")) ?? logs[0];
    if (!first) put(this._said, "There is no log yet");
    else if (this._name === "") await this._open(first.name);
  }

  async _open(name) {
    this._name = name;
    this._choice.value = name;
    this._text.clear();
    byId("log-found").hidden = true;
    this._follow(true);
    await this._end();
  }

  _get(query) {
    return read(address(this._run, ["logs", this._name], { bytes: BYTES, ...query }));
  }

  async _end() {
    const name = this._name;
    const part = await this._get({ from: -BYTES });
    if (name !== this._name) return; // another was chosen meanwhile
    this._text.set(part);
    this._text.toEnd();
    this._tell(part);
  }

  async _grow() {
    if (this._text.empty) return this._end();
    const name = this._name;
    const part = await this._get({ from: this._text.to });
    if (name !== this._name) return undefined;
    const replaced = part.size_bytes < this._text.to;
    if (replaced || part.size_bytes - this._text.to > BEHIND_MOST) return this._end();
    this._text.append(part);
    if (part.to > part.from) this._text.toEnd();
    this._tell(part);
    return undefined;
  }

  async _earlier() {
    const to = this._text.from;
    if (to <= 0) return;
    this._follow(false);
    await this._try(async () => {
      const from = Math.max(to - BYTES, 0);
      this._text.prepend(await this._get({ from, bytes: to - from }));
      this._tell({ size_bytes: this._size });
    });
  }

  async _find(word, from) {
    if (word === "" || this._name === "") return;
    const list = byId("log-matches");
    if (from === 0) list.replaceChildren();
    await this._try(async () => {
      const found = await this._get({ find: word, from, bytes: null });
      this._word = word;
      this._foundTo = found.to;
      list.append(...found.matches.map((match) => this._match(match)));
      byId("log-found").hidden = false;
      byId("log-more").hidden = found.to >= found.size_bytes;
      const lines = list.childElementCount;
      put(byId("log-count"), lines > 0 ? words.many(lines, "line") : "No line has it");
    });
  }

  _match({ at, line }) {
    const press = el("button", { type: "button", class: "match" }, line);
    press.addEventListener("click", () => this._jump(at, line));
    return el("li", {}, press);
  }

  async _jump(at, line) {
    this._follow(false);
    await this._try(async () => {
      const part = await this._get({ from: Math.max(at - BYTES / 2, 0) });
      this._text.set(part);
      this._text.point(at, line);
      this._tell(part);
    });
  }

  async _try(act) {
    try {
      await act();
    } catch (error) {
      put(this._said, `That did not work: ${error.message}`);
    }
  }

  _follow(follows) {
    this._follows = follows;
    const press = byId("log-follow");
    mark(press, "aria-pressed", follows);
    put(press, follows ? "Pause" : "Follow");
    if (follows && this._name !== "" && !this._text.empty) this._try(() => this._end());
  }

  _tell({ size_bytes }) {
    this._size = size_bytes;
    byId("log-earlier").hidden = this._text.from <= 0;
    const [from, to, all] = [this._text.from, this._text.to, size_bytes].map(words.whole);
    put(this._said, size_bytes === 0 ? "This log is empty" : `bytes ${from} to ${to} of ${all}`);
  }
}
