// Paints what changed, where it is seen: at most once a frame, and a few times a second.

const EVERY_MS = 250;
const AT_MOST = 0.1; // of the time a view may take: one that is slow to paint is painted less often

const views = new Map(); // by element
const dirty = new Set();
let frame = 0;
let timer = 0;

const observer = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      const view = views.get(entry.target);
      if (view) view.seen = entry.isIntersecting;
    }
    wake();
  },
  { rootMargin: "150px" },
);

/** Whether `paint` is due when `element` is on the screen; call what this returns to say so. */
export function painted(element, paint, every_ms = EVERY_MS) {
  const view = { paint, every_ms, seen: false, last: -Infinity, cost: 0 };
  views.set(element, view);
  observer.observe(element);
  return () => {
    dirty.add(view);
    wake();
  };
}

/** Whether the element is on the screen, for what asks the server again and again. */
export function seen(element) {
  if (!views.has(element)) painted(element, () => {});
  return () => !document.hidden && Boolean(views.get(element)?.seen);
}

function wake() {
  if (frame === 0) frame = requestAnimationFrame(work);
}

function work(now) {
  frame = 0;
  let wait = Infinity;
  for (const view of dirty) {
    if (!view.seen) continue;
    const due = view.last + Math.max(view.every_ms, view.cost / AT_MOST) - now;
    if (due > 0) wait = Math.min(wait, due);
    else run(view, now);
  }
  clearTimeout(timer);
  if (wait < Infinity) timer = setTimeout(wake, wait);
}

function run(view, now) {
  dirty.delete(view);
  view.last = now;
  const began = performance.now();
  try {
    view.paint();
  } catch (error) {
    console.error(error); // one view that fails must not stop the others
  }
  view.cost = performance.now() - began;
}
