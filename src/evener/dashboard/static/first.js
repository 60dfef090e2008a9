// Sets the theme before anything is painted: what the person chose, else what the system says.
(() => {
  let kept = null;
  try {
    kept = localStorage.getItem("evener-theme");
  } catch {
    // Storage is switched off: the system decides.
  }
  const dark = kept ? kept === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
})();
