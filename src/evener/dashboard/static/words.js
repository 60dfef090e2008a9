// Writes numbers, durations, sizes and times as people read them; what is not known is a dash.

export const DASH = "–";
const DAY_S = 86400;
const APART = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

const known = (value) => typeof value === "number" && Number.isFinite(value);

/** A measured number with `digits` figures: 1.842, 0.03125, 812.3, 3.14e-7. */
export function number(value, digits = 4) {
  if (!known(value)) return DASH;
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-4 || size >= 1e6) return Number(value.toPrecision(digits)).toExponential();
  if (size < 1) return value.toPrecision(digits);
  return value.toFixed(Math.max(digits - String(Math.trunc(size)).length, 0));
}

/** A whole number with its thousands apart: 12,340. */
export function whole(value) {
  return known(value) ? APART.format(value) : DASH;
}

/** The label of an axis: as short as it can be. */
export function tick(value) {
  if (!known(value)) return "";
  const size = Math.abs(value);
  if (size >= 1e4) return count(value);
  if (size !== 0 && size < 1e-3) return Number(value.toPrecision(3)).toExponential();
  return String(Number(value.toPrecision(8)));
}

/** `812`, `12.2k`, `11.2M`: a count that is compared, not added up. */
export function count(value) {
  if (!known(value)) return DASH;
  let size = value;
  for (const unit of ["", "k", "M", "G"]) {
    if (Math.abs(size) < 999.5 || unit === "G") {
      return `${unit === "" ? Math.round(size * 10) / 10 : trimmed(size, 1)}${unit}`;
    }
    size /= 1000;
  }
  return DASH;
}

function trimmed(value, digits) {
  return String(Number(value.toFixed(digits)));
}

/** 0.123 as `12.3 %`; whole from ten on where `digits` is 0. */
export function percent(fraction, digits = 0) {
  return known(fraction) ? `${(fraction * 100).toFixed(digits)} %` : DASH;
}

/** `1.4 MB`: decimal units, as on a disk's label. */
export function size(bytes) {
  if (!known(bytes)) return DASH;
  let value = bytes;
  for (const unit of ["B", "kB", "MB", "GB", "TB"]) {
    if (Math.abs(value) < 999.5 || unit === "TB") {
      const digits = unit === "B" || Math.abs(value) >= 99.95 ? 0 : 1;
      return `${value.toFixed(digits)} ${unit}`;
    }
    value /= 1000;
  }
  return DASH;
}

/** `7.2 of 10.0 GB`. */
export function sizeOf(part, all) {
  const [some, total] = [size(part), size(all)];
  const [figure, unit] = some.split(" ");
  return total.endsWith(` ${unit}`) ? `${figure} of ${total}` : `${some} of ${total}`;
}

/** `350 ms`, `4.2 s`, `3 min 20 s`, `2 h 05 min`, `3 d 4 h`: two units at most. */
export function duration(seconds) {
  if (!known(seconds)) return DASH;
  if (seconds < 0) return duration(0);
  if (seconds < 0.9995) return `${(seconds * 1000).toFixed(0)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const all = Math.round(seconds);
  const minutes = Math.floor(all / 60);
  if (minutes < 60) return `${minutes} min ${two(all % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${two(minutes % 60)} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** `1.23 s`, `9.76 ms`, `12.0 µs`: three figures, for times that are compared. */
export function interval(seconds) {
  if (!known(seconds)) return DASH;
  if (seconds === 0) return "0 s";
  for (const [unit, unit_s] of [["s", 1], ["ms", 1e-3], ["µs", 1e-6]]) {
    if (seconds >= 0.9995 * unit_s || unit === "µs") {
      const value = seconds / unit_s;
      return `${value.toFixed(value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2)} ${unit}`;
    }
  }
  return DASH;
}

/** Samples per second. */
export function speed(value) {
  return known(value) ? `${number(value, 3)}/s` : DASH;
}

/** Bytes per second. */
export function flow(value) {
  return known(value) ? `${size(value)}/s` : DASH;
}

export function degrees(value) {
  return known(value) ? `${Math.round(value)} °C` : DASH;
}

/** How long ago: whole units, so that it does not flicker. */
export function ago(seconds) {
  if (!known(seconds)) return DASH;
  if (seconds < 3) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 2 * DAY_S) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / DAY_S)} d ago`;
}

/** The time of day where the reader is; with the date when it is another day than `today`. */
export function clock(time_s, today_s = Date.now() / 1000) {
  if (!known(time_s)) return DASH;
  const then = new Date(time_s * 1000);
  const hour = `${two(then.getHours())}:${two(then.getMinutes())}:${two(then.getSeconds())}`;
  return day(then) === day(new Date(today_s * 1000)) ? hour : `${day(then)} ${hour}`;
}

function day(date) {
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

function two(value) {
  return String(value).padStart(2, "0");
}

/** Seconds since the start as a label of an axis whose labels are `step_s` apart. */
export function elapsed(seconds, step_s = 1) {
  if (!known(seconds)) return DASH;
  const sign = seconds < 0 ? "-" : "";
  const all = Math.abs(seconds);
  const hours = Math.floor(all / 3600);
  const minutes = Math.floor(all / 60) % 60;
  if (step_s >= DAY_S) return `${sign}${trimmed(all / DAY_S, 1)} d`;
  if (step_s >= 3600) return `${sign}${hours} h`;
  if (step_s >= 60) return sign + (hours ? `${hours} h ${two(minutes)}` : `${minutes} min`);
  if (all < 60) return `${sign}${trimmed(all, step_s < 1 ? 1 : 0)} s`;
  const rest = two(Math.floor(all) % 60);
  return sign + (hours ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`);
}

/** Whether a metric of this name is a share of all. */
export function isShare(name) {
  return /^(accuracy|top)/.test(name);
}

export function metric(name, value) {
  return isShare(name) ? percent(value, 1) : number(value);
}

/** `rank 0`, `ranks 0-3, 8`. */
export function ranks(numbers) {
  const runs = [];
  for (const n of [...numbers].sort((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last && n === last[1] + 1) last[1] = n;
    else runs.push([n, n]);
  }
  const text = runs.map(([a, b]) => (a === b ? `${a}` : `${a}-${b}`)).join(", ");
  return `${numbers.length === 1 ? "rank" : "ranks"} ${text}`;
}

export function many(n, noun) {
  return `${whole(n)} ${noun}${n === 1 ? "" : "s"}`;
}
