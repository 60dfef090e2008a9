// Plain values (what JSON can hold) as a tree that opens where it is asked to.

import { el } from "./dom.js";

const OPEN_DEPTH = 1;

export function tree(value, depth = 0) {
  const entries = entriesOf(value);
  const list = el("ul", { class: "tree" });
  for (const [key, child] of entries) list.append(el("li", {}, branch(key, child, depth)));
  if (entries.length === 0) list.append(el("li", { class: "soft" }, "nothing"));
  return list;
}

function branch(key, value, depth) {
  if (!isBranch(value)) return leaf(key, value);
  const name = el("span", { class: "name" }, key);
  const summary = el("summary", {}, name, el("span", { class: "soft small" }, gist(value)));
  const details = el("details", { open: depth < OPEN_DEPTH }, summary);
  const fill = () => {
    if (details.open && details.childElementCount === 1) details.append(tree(value, depth + 1));
  };
  details.addEventListener("toggle", fill);
  fill();
  return details;
}

function leaf(key, value) {
  const name = el("span", { class: "name" }, key);
  return el("span", { class: "leaf" }, name, el("span", { class: kind(value) }, text(value)));
}

function isBranch(value) {
  if (Array.isArray(value)) return value.some((one) => typeof one === "object" && one !== null);
  return typeof value === "object" && value !== null && Object.keys(value).length > 0;
}

function entriesOf(value) {
  if (Array.isArray(value)) return value.map((one, i) => [String(i + 1), one]);
  return typeof value === "object" && value !== null ? Object.entries(value) : [["value", value]];
}

function gist(value) {
  if (Array.isArray(value)) return ` ${value.length}`;
  const named = value.name ?? value.kind ?? value.reason;
  return typeof named === "string" ? ` ${named}` : "";
}

function kind(value) {
  return value === null || value === "" || value === false ? "soft" : "";
}

function text(value) {
  if (value === null) return "none";
  if (value === "") return "empty";
  if (Array.isArray(value)) return value.length > 0 ? value.join(", ") : "empty";
  return typeof value === "object" ? "empty" : String(value);
}
