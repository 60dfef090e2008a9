// Switches between light and dark, and tells charts which colours are in force.

import { put } from "./dom.js";
import { keep, kept } from "./kept.js";

const listeners = new Set();
const colours = new Map();
const system = matchMedia("(prefers-color-scheme: dark)");

export function theme() {
  return document.documentElement.dataset.theme === "dark" ? "dark" : "light";
}

/** A colour of the style sheet by its name: `colour("c0")` is `--c0`, as #rrggbb. */
export function colour(name) {
  if (!colours.has(name)) {
    const style = getComputedStyle(document.documentElement);
    colours.set(name, style.getPropertyValue(`--${name}`).trim() || "#808080");
  }
  return colours.get(name);
}

/** The same, let through by `alpha` (0 to 1). */
export function faint(name, alpha) {
  return colour(name) + Math.round(alpha * 255).toString(16).padStart(2, "0");
}

export function onTheme(listener) {
  listeners.add(listener);
}

/** Makes `button` the switch; a choice that the system makes too is not kept. */
export function offer(button) {
  const label = () => put(button, theme() === "dark" ? "Light theme" : "Dark theme");
  button.addEventListener("click", () => {
    const wanted = theme() === "dark" ? "light" : "dark";
    keep("theme", wanted === (system.matches ? "dark" : "light") ? null : wanted);
    wear(wanted);
  });
  system.addEventListener("change", () => {
    if (kept("theme") === null) wear(system.matches ? "dark" : "light");
  });
  onTheme(label);
  label();
}

function wear(name) {
  document.documentElement.dataset.theme = name;
  colours.clear();
  for (const listener of listeners) listener();
}
