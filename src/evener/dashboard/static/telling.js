// Says in words what a chart shows, for those who do not see it and those in a hurry.

const TOLD_MOST = 4;

/** The last, lowest and highest value of the first few curves; of layers the last. */
export function tell(picture, format, place) {
  const shown = picture.curves.filter((curve) => curve.column !== null);
  return picture.floor === 0 ? layersIn(shown, format) : linesIn(shown, picture, format, place);
}

/** `last 1.84, lowest 1.80 at step 900, highest 10.8 at step 1`. */
function linesIn(curves, { data }, format, place) {
  const told = curves.slice(0, TOLD_MOST).map(({ label, values }) => {
    const named = curves.length > 1 ? `${label} ` : "";
    const found = extremes(values);
    if (found === null) return `${named}without values yet`;
    const at = (i) => `${format(values[i])} at ${place(data[0][i])}`;
    if (found.low === found.high) return named + at(found.last);
    const last = `${named}last ${format(values[found.last])}`;
    return `${last}, lowest ${at(found.low)}, highest ${at(found.high)}`;
  });
  return [...told, ...counted(curves.length - told.length)].join("; ");
}

/** `Last 502 ms together: forward 140 ms, backward 220 ms`. */
function layersIn(curves, format) {
  const now = ({ label, values, area }) => [label, values[extremes(values)?.last] ?? 0, area];
  const last = curves.map(now).sort(([, a], [, b]) => b - a);
  const layers = last.filter(([, , area]) => area);
  const total = layers.reduce((sum, [, value]) => sum + value, 0);
  const say = ([label, value]) => `${label} ${format(value)}`;
  const told = layers.slice(0, TOLD_MOST).map(say);
  const over = last.filter(([, , area]) => !area).map(say);
  const parts = [...told, ...counted(layers.length - told.length)].join(", ");
  return [`Last ${format(total)} together: ${parts}`, ...over].join("; ");
}

function counted(more) {
  return more > 0 ? [`and ${more} more`] : [];
}

/** Where the last, the lowest and the highest value are; null where there are none. */
export function extremes(values) {
  let last = -1;
  let low = -1;
  let high = -1;
  values.forEach((value, i) => {
    if (value === null || value === undefined) return;
    last = i;
    if (low < 0 || value < values[low]) low = i;
    if (high < 0 || value > values[high]) high = i;
  });
  return last < 0 ? null : { last, low, high };
}

/** The value at `i`, or the last before it: curves have points at steps of their own. */
export function valueAt(values, i) {
  for (let at = Math.min(i, values.length - 1); at >= 0; at--) {
    if (values[at] !== undefined) return values[at];
  }
  return null;
}
