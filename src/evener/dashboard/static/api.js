// Asks the server: addresses of a run's facts, reading them, and the two orders.

/** What the server said no with: a sentence for people. */
export class Refusal extends Error {
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

/** The run whose page this is, by the page's address. */
export function runOfPage() {
  const found = /^\/runs\/([^/]+)/.exec(location.pathname);
  try {
    return found ? decodeURIComponent(found[1]) : "";
  } catch {
    return found[1];
  }
}

export function pageOf(run) {
  return `/runs/${encodeURIComponent(run)}/`;
}

/** The address of a run's facts: `address("a", ["logs", "rank_0.log"], {from: 0})`. */
export function address(run, parts = [], query = {}) {
  const path = ["/api/runs", ...[run, ...parts].map(encodeURIComponent)].join("/");
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one != null) asked.append(name, String(one));
    }
  }
  const text = asked.toString();
  return text ? `${path}?${text}` : path;
}

export async function read(url) {
  return answer(await reached(url, { headers: { Accept: "application/json" } }));
}

/** An order, with the token that only this page has. */
export async function order(run, what) {
  const token = document.querySelector('meta[name="evener-token"]')?.content ?? "";
  const headers = { "X-Evener-Token": token, Accept: "application/json" };
  return answer(await reached(address(run, [what]), { method: "POST", headers }));
}

async function reached(url, options) {
  try {
    return await fetch(url, { credentials: "same-origin", cache: "no-store", ...options });
  } catch {
    throw new Refusal("the server does not answer", 0);
  }
}

async function answer(response) {
  let body = null;
  try {
    body = await response.json();
  } catch {
    if (response.ok) throw new Refusal("the server's answer cannot be read", response.status);
  }
  if (!response.ok) {
    throw new Refusal(body?.error ?? `the server answered ${response.status}`, response.status);
  }
  return body;
}
