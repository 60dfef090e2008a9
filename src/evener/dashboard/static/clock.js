// Tells the server's time, which is what "3 s ago" is counted by.

let ahead_s = 0;

/** Hear the server's own time, as each state says it. */
export function set(server_now_s) {
  if (typeof server_now_s === "number") ahead_s = server_now_s - Date.now() / 1000;
}

export function now() {
  return Date.now() / 1000 + ahead_s;
}
