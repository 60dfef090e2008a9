// The two orders a person can give: a checkpoint now, and a stop with a checkpoint.

import { order } from "./api.js";
import { byId, put } from "./dom.js";

const OVER = ["finished", "stopped", "failed"];
const DONE = {
  checkpoint: "A checkpoint will be written at the next boundary.",
  stop: "The run stops at the next boundary, with a checkpoint.",
};

export function actions(run) {
  const place = byId("actions");
  const save = byId("save");
  const stop = byId("stop");
  const sure = byId("sure");
  save.addEventListener("click", () => give(run, "checkpoint", save));
  stop.addEventListener("click", () => sure.showModal());
  sure.addEventListener("close", () => {
    if (sure.returnValue === "stop") give(run, "stop", stop);
    sure.returnValue = "";
  });
  return {
    show(state) {
      place.hidden = !state.acts || !state.live || OVER.includes(state.phase);
      stop.disabled = state.phase === "stopping";
      if (!place.hidden) return;
      put(byId("actions-said"), "");
      if (sure.open) sure.close();
    },
  };
}

async function give(run, what, pressed) {
  const said = byId("actions-said");
  pressed.disabled = true;
  try {
    await order(run, what);
    put(said, DONE[what]);
  } catch (error) {
    put(said, `That did not work: ${error.message}`);
  }
  pressed.disabled = false;
}
