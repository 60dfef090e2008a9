// The checkpoints that are on disk: how big, how good, and to download.

import { address } from "./api.js";
import { byId, el, mark, put } from "./dom.js";
import { Table, number } from "./table.js";
import * as words from "./words.js";

export function checkpoints(run) {
  const columns = [
    number("step", "Step", (c) => c.step, words.whole),
    number("size", "Size", (c) => c.size_bytes, words.size),
    number("metric", "Metric", (c) => c.metric, words.number),
    {
      key: "best", title: "Best", sort: (c) => (c.best ? 0 : 1),
      text: (c) => (c.best ? "best so far" : ""),
    },
    number("time", "Written", (c) => c.time, (time_s) => words.clock(time_s)),
    { key: "path", title: "Folder", sort: (c) => c.path, text: (c) => c.path },
    { key: "get", title: "Download", sort: (c) => c.step, make: (cell) => download(run, cell) },
  ];
  const table = new Table({
    caption: "Checkpoints", columns, id: (c) => c.step, sorted: { key: "step", down: true },
    find: (c) => `${c.step} ${c.path} ${c.best ? "best" : ""}`,
    empty: "No checkpoint yet", most: 12,
  });
  const total = el("p", { class: "soft" });
  byId("checkpoints-place").append(total, table.element);
  return {
    show(state) {
      table.show(state.checkpoints);
      const bytes = state.checkpoints.reduce((sum, c) => sum + (c.size_bytes ?? 0), 0);
      const kept = words.many(state.checkpoints.length, "checkpoint");
      put(total, state.checkpoints.length > 0 ? `${kept}, ${words.size(bytes)} together` : "");
    },
  };
}

function download(run, cell) {
  const link = el("a", { download: true }, "tar");
  cell.append(link);
  return (checkpoint) => {
    mark(link, "href", address(run, ["checkpoints", checkpoint.step]));
    mark(link, "aria-label", `tar of the checkpoint of step ${checkpoint.step}`);
  };
}
