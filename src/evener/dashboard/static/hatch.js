// Hatches an area of a chart in which nothing is done, so that more than its colour tells it.

import { colour } from "./theme.js";

const CELL_PX = 8;

/** What a canvas fills with: thin slanted lines in a colour of the style sheet. */
export function hatch(context, name) {
  const cell = document.createElement("canvas");
  cell.width = cell.height = CELL_PX;
  const drawn = cell.getContext("2d");
  drawn.strokeStyle = colour(name);
  drawn.lineWidth = 1.5;
  drawn.beginPath();
  for (const shift of [-CELL_PX, 0, CELL_PX]) {
    drawn.moveTo(shift, CELL_PX);
    drawn.lineTo(shift + CELL_PX, 0);
  }
  drawn.stroke();
  return context.createPattern(cell, "repeat");
}
