// Remembers a person's choices in this browser; where storage is off they hold for the page.

export function kept(name) {
  try {
    return localStorage.getItem(`evener-${name}`);
  } catch {
    return null;
  }
}

/** Null forgets it. */
export function keep(name, value) {
  try {
    if (value === null) localStorage.removeItem(`evener-${name}`);
    else localStorage.setItem(`evener-${name}`, String(value));
  } catch {
    // Storage is switched off or full: nothing is lost but the memory of it.
  }
}
