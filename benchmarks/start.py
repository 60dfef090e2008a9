"""From the command to the first step done: `evener run` against torchrun, by the clock.

Both start two ranks of the same GPT on one machine. evener also reads and checks the job, learns
the machine, prepares the data, starts a head and an agent, and agrees on a generation.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import harness
import jobs
import overhead
from harness import Case, Settings
from trial import Trials

RANKS = 2
TARGET_S = 1.5  # more than torchrun takes, at most: all of the above must be cheap or overlap


def measure(settings: Settings) -> Iterator[Case]:
    with Trials() as trials:
        trials.write("text.txt", jobs.text_of_65_letters())
        trials.write("gpt.toml", jobs.GPT)
        taken = harness.interleave(
            {
                "torchrun": lambda: _torchrun(trials),
                "evener": lambda: _evener(trials),
            },
            3 if settings.quick else 6,
        )
    pairs = zip(taken["evener"], taken["torchrun"], strict=True)
    later = harness.spread([ours - theirs for ours, theirs in pairs])
    sides = {f"{side} s": harness.spread(values) for side, values in taken.items()}
    sides = {"later s": later, **sides}
    yield Case("first-step", later.median, TARGET_S, "s", sides=sides, notes={"ranks": RANKS})


def _torchrun(trials: Trials) -> float:
    command = overhead.command("gpt", RANKS, 2)
    started = time.time()
    said = harness.run(command, cwd=trials.folder)
    return float(harness.last_json(said)["first_step"]) - started


def _evener(trials: Trials) -> float:
    return trials.train("gpt.toml", ["train.steps=2", f"local.workers={RANKS}"]).first_step_s


if __name__ == "__main__":
    sys.exit(harness.main("start", measure, __doc__, busy=harness.busy_share))
