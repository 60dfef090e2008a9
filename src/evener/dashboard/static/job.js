// The job as it was understood, and the plan: read when they are asked for.

import { address, read } from "./api.js";
import { byId, el, put } from "./dom.js";
import { tree } from "./tree.js";

export function job(run) {
  const details = byId("job-details");
  const place = byId("job-place");
  let asked = false;
  details.addEventListener("toggle", async () => {
    if (!details.open || asked) return;
    asked = true;
    put(place, "Reading…");
    try {
      const found = await read(address(run, ["job"]));
      place.replaceChildren(part("Job", found.job), part("Plan", found.plan));
    } catch (error) {
      put(place, `It cannot be read: ${error.message}`);
      asked = false;
    }
  });
}

function part(title, value) {
  const shown = value == null ? el("p", { class: "empty" }, "There is none") : tree(value);
  return el("div", { class: "half" }, el("h3", {}, title), shown);
}
