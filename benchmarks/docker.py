"""What containers cost over processes of the same machine, and how long a person waits for them.

Two containers against two local agents of one rank each: the same processes in the same group, so
that what lies between them is Docker's. A full run measures one local agent with both ranks as
well, which is what `evener run` does by itself. For the steps the sides take turns of some seconds,
each frozen while another moves, and shares stay equal, for those of the two sides would move apart
with the machine's noise; starts are runs of their own, with the image there.

It takes the engine that `docker info` answers for; where none does, the one of the tests, which
needs root on Linux. The first time an engine is used, its image is built: two minutes more.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import harness
import jobs
import lab
import turns
from evener.config.schema import Image
from evener.rundir.layout import RunDir
from harness import Case, Settings
from trial import Trials

CONTAINERS = 2
TURNS, QUICK_TURNS, TURN_S = 30, 8, 3.0
# A standby imports torch beside the ranks for ten seconds; shares settle.
WARM_S, WARM_STEPS = 12.0, 40
STARTS, QUICK_STARTS = 6, 3
ENDLESS = 10**6  # steps of a run that is ended when it has been measured
STEP_TARGET, START_TARGET_S, REBUILD_TARGET_S, IMAGE_TARGET_GB = 1.05, 6.0, 5.0, 1.5
DOCKER, LOCAL, ONE_AGENT = "docker", "local", "one agent"
Sides = dict[str, tuple[str, int]]
MINE = """
[model]
name = "mine:build"

[data]
name = "synthetic_regression"

[train]
steps = 1
"""
CODE = """
from torch import nn

WRITTEN_AT = {now}


def build(shape):
    return nn.LazyLinear(shape.outputs)
"""


def measure(settings: Settings) -> Iterator[Case]:
    rounds = QUICK_TURNS if settings.quick else TURNS
    starts = QUICK_STARTS if settings.quick else STARTS
    with lab.engine(), Trials() as trials:
        base = Image().start
        image = lab.image_table()
        trials.write("text.txt", jobs.text_of_65_letters())
        trials.write("gpt.toml", jobs.GPT + image)
        trials.write("mine.toml", MINE + image)
        tag = lab.build(trials, "gpt.toml")
        notes = {"engine": lab.about_engine(trials), "containers": CONTAINERS}
        where = _sides(full=not settings.quick)
        yield step_case(_steps(trials, where, rounds), notes | {"turn_s": TURN_S})
        yield start_case(_starts(trials, where, starts), notes)
        rebuilt = harness.spread([_rebuild_s(trials) for _ in range(starts)])
        sides = {"build s": rebuilt}
        yield Case("rebuild", rebuilt.median, REBUILD_TARGET_S, "s", sides=sides)
        size = int(lab.docker(trials, "image", "inspect", "--format={{.Size}}", tag)) / 1e9
        yield Case("image", size, IMAGE_TARGET_GB, "GB", notes=_about_base(trials, base))


def step_case(taken: dict[str, list[float]], notes: dict[str, Any]) -> Case:
    """A step in containers over one in processes, turn by turn."""
    ratio = harness.ratios(taken, DOCKER, LOCAL)
    sides = {f"{side} s": harness.spread(values) for side, values in taken.items()}
    sides = {"ratio": ratio, **sides}
    return Case("step", ratio.median, STEP_TARGET, "x", sides=sides, notes=notes)


def start_case(taken: dict[str, list[float]], notes: dict[str, Any]) -> Case:
    """How much later the first step is done, turn by turn."""
    pairs = zip(taken[DOCKER], taken[LOCAL], strict=True)
    later = harness.spread([there - here for there, here in pairs])
    sides = {f"{side} s": harness.spread(values) for side, values in taken.items()}
    sides = {"later s": later, **sides}
    return Case("start", later.median, START_TARGET_S, "s", sides=sides, notes=notes)


def _sides(*, full: bool) -> dict[str, tuple[str, int]]:
    """Where each side's ranks are, and with how many agents."""
    sides = {DOCKER: ("docker", CONTAINERS), LOCAL: ("local", CONTAINERS)}
    return sides | ({ONE_AGENT: ("local", 1)} if full else {})


def _steps(trials: Trials, sides: Sides, rounds: int) -> dict[str, list[float]]:
    def start(on: str, agents: int) -> Callable[[], RunDir]:
        return lambda: trials.start("gpt.toml", _split(agents, ENDLESS), on=on)

    starts = {side: start(*where) for side, where in sides.items()}
    return turns.step_s(trials, starts, turns.Pattern(rounds, TURN_S, WARM_S, WARM_STEPS))


def _starts(trials: Trials, sides: Sides, starts: int) -> dict[str, list[float]]:
    def start(on: str, agents: int) -> Callable[[], float]:
        return lambda: trials.train("gpt.toml", _split(agents, 2), on=on).first_step_s

    return harness.interleave({side: start(*where) for side, where in sides.items()}, starts)


def _split(agents: int, steps: int) -> list[str]:
    split = [f"local.workers={CONTAINERS}", f"local.agents={agents}"]
    return [f"train.steps={steps}", "balance.policy=equal", *split]


# -------------------------------------------------------------------------------- images


def _rebuild_s(trials: Trials) -> float:
    trials.write("mine.py", CODE.format(now=time.time_ns()))
    started = time.monotonic()
    tag = lab.build(trials, "mine.toml")
    took = time.monotonic() - started
    lab.docker(trials, "image", "rm", tag)
    return took


def _about_base(trials: Trials, base: str) -> dict[str, str]:
    digest = lab.docker(trials, "image", "ls", "--digests", "--format={{.Digest}}", base).strip()
    standing_in = "a stand-in made on this machine (tests/lab: debootstrap), from no registry"
    return {"base": base, "origin": standing_in if digest == "<none>" else digest}


if __name__ == "__main__":
    sys.exit(harness.main("docker", measure, __doc__, busy=harness.busy_share))
