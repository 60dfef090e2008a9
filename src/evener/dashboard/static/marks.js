// Draws what happened onto a chart, and says it where the pointer is.

import { el } from "./dom.js";
import { colour } from "./theme.js";
import uPlot from "./vendor/uplot/uPlot.js";

const NEAR_PX = 7; // marks as near as that are one
const TOLD_MOST = 5;
const RANK_OF = { note: 0, good: 1, warning: 2, bad: 3 };
const COLOURS = { note: "soft", good: "good", warning: "warn", bad: "bad" };

/** A plugin that draws `marks()`: `{x, level, text}`, rising by x. */
export function markPlugin(marks) {
  let groups = [];
  let tip = null;
  return {
    hooks: {
      draw: (plot) => {
        groups = grouped(plot, marks());
        for (const group of groups) drawMark(plot, group);
      },
      setCursor: (plot) => {
        tip ??= plot.over.appendChild(el("div", { class: "tip", hidden: true }));
        showTip(plot, tip, groups);
      },
      destroy: () => tip?.remove(),
    },
  };
}

function grouped(plot, marks) {
  const { min, max } = plot.scales.x;
  const groups = [];
  for (const mark of marks) {
    if (!(mark.x >= min && mark.x <= max)) continue;
    const left = plot.valToPos(mark.x, "x");
    const last = groups.at(-1);
    if (last && left - last.left < NEAR_PX) {
      last.texts.push(mark.text);
      if (RANK_OF[mark.level] > RANK_OF[last.level]) last.level = mark.level;
    } else {
      groups.push({ left, level: mark.level, texts: [mark.text] });
    }
  }
  return groups;
}

function drawMark(plot, { left, level }) {
  const { ctx, bbox } = plot;
  const pixel = uPlot.pxRatio;
  const x = Math.round(bbox.left + left * pixel);
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colour(COLOURS[level] ?? "soft");
  ctx.lineWidth = pixel;
  ctx.globalAlpha = level === "note" ? 0.4 : 0.65;
  ctx.setLineDash([2 * pixel, 3 * pixel]);
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.globalAlpha = 1;
  shape(ctx, level, x, bbox.top, 4 * pixel);
  ctx.restore();
}

/** Levels differ in shape too: a triangle warns, a square is bad, a disc good, else a diamond. */
function shape(ctx, level, x, y, r) {
  ctx.beginPath();
  if (level === "good") ctx.arc(x, y, r * 0.85, 0, 2 * Math.PI);
  else if (level === "bad") ctx.rect(x - r, y - r, 2 * r, 2 * r);
  else polygon(ctx, level === "warning" ? triangle(x, y, r) : diamond(x, y, r * 0.8));
  ctx.fill();
}

const triangle = (x, y, r) => [[x, y - r], [x + r * 1.1, y + r], [x - r * 1.1, y + r]];
const diamond = (x, y, r) => [[x, y - r], [x + r, y], [x, y + r], [x - r, y]];

function polygon(ctx, corners) {
  corners.forEach(([x, y], i) => (i === 0 ? ctx.moveTo(x, y) : ctx.lineTo(x, y)));
  ctx.closePath();
}

function showTip(plot, tip, groups) {
  const { left } = plot.cursor;
  const hovered = left >= 0 && plot.over.matches(":hover");
  const group = hovered && groups.find((g) => Math.abs(g.left - left) <= NEAR_PX);
  tip.hidden = !group;
  if (!group) return;
  const told = group.texts.slice(-TOLD_MOST).map((text) => el("div", {}, text));
  const more = group.texts.length - told.length;
  if (more > 0) told.unshift(el("div", { class: "soft" }, `${more} earlier`));
  tip.replaceChildren(...told);
  const right = group.left > plot.over.clientWidth / 2;
  tip.style.left = right ? "auto" : `${group.left + 10}px`;
  tip.style.right = right ? `${plot.over.clientWidth - group.left + 10}px` : "auto";
}
