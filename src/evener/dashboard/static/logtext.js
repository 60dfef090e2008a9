// The part of a log that is shown: pieces of text with their places in the file, within bounds.

import { el, visible } from "./dom.js";

const SHOWN_MOST = 400000; // characters; more makes a page slow
const NEAR_END_PX = 40;

export class LogText {
  constructor(element) {
    this._element = element;
    this._pieces = []; // {node, from, to, text}
    this._leave = () => {};
    this._top = 0; // where it stood last: only the reader scrolls up from there
    element.addEventListener("scroll", () => this._scrolled(), { passive: true });
  }

  get empty() {
    return this._pieces.length === 0;
  }

  get from() {
    return this._pieces[0]?.from ?? 0;
  }

  get to() {
    return this._pieces.at(-1)?.to ?? 0;
  }

  /** `left` is called when the reader scrolls away from the end. */
  onLeave(left) {
    this._leave = left;
  }

  clear() {
    this._pieces = [];
    this._element.replaceChildren();
  }

  set(part) {
    this.clear();
    this.append(part, true);
    this._scrollTo(0);
  }

  append(part, always = false) {
    if (part.text === "" && !always) return;
    this._pieces.push(this._piece(part));
    this._element.append(this._pieces.at(-1).node);
    while (this._tooLong()) this._pieces.shift().node.remove();
  }

  prepend(part) {
    const element = this._element;
    const below = element.scrollHeight - element.scrollTop;
    this._pieces.unshift(this._piece(part));
    element.prepend(this._pieces[0].node);
    while (this._tooLong()) this._pieces.pop().node.remove();
    this._scrollTo(element.scrollHeight - below);
  }

  toEnd() {
    this._scrollTo(this._element.scrollHeight);
  }

  /** Marks the line that begins at byte `at` of the file, and brings it into view. */
  point(at, line) {
    const piece = this._pieces[0];
    if (!piece) return;
    const begin = placeOf(piece, at, line);
    const end = begin + line.length;
    const found = el("mark", {}, piece.text.slice(begin, end));
    const before = document.createTextNode(visible(piece.text.slice(0, begin)));
    const after = document.createTextNode(visible(piece.text.slice(end)));
    const node = el("span", {}, before, found, after);
    piece.node.replaceWith(node);
    piece.node = node;
    this._scrollTo(found.offsetTop - this._element.clientHeight / 2);
  }

  _piece({ from, to, text }) {
    return { node: document.createTextNode(visible(text)), from, to, text };
  }

  _tooLong() {
    const length = this._pieces.reduce((sum, piece) => sum + piece.text.length, 0);
    return length > SHOWN_MOST && this._pieces.length > 1;
  }

  _scrollTo(top) {
    this._element.scrollTop = top;
    this._top = this._element.scrollTop;
  }

  _scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this._element;
    const up = scrollTop < this._top;
    this._top = scrollTop;
    if (up && scrollHeight - scrollTop - clientHeight > NEAR_END_PX) this._leave();
  }
}

/** Bytes are not characters: count where the text's own bytes can be counted, else look near it. */
function placeOf({ from, text }, at, line) {
  const bytes = new TextEncoder().encode(text).subarray(0, Math.max(at - from, 0));
  const about = new TextDecoder().decode(bytes).length;
  const found = text.indexOf(line, Math.max(about - 400, 0));
  return found >= 0 ? found : Math.min(about, text.length);
}
