"""A Docker Swarm of three engines: how long until it trains, what it costs, what a death costs.

Three real engines on this machine, each in a network namespace of its own, joined by an overlay.
The step on it is held against that of three containers on one engine: the same processes and
threads, so that what lies between them is the overlay, a head that is asked over it, and what the
couriers bring home. Then an engine is killed with all that runs on it.

It needs root on Linux; the first time, the image is built: two minutes more.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

import harness
import jobs
import lab
import turns
from evener.events import GenerationFormed
from evener.rundir.layout import RunDir
from harness import Case, MeasureError, Settings
from trial import Trials, look

MACHINES = 3
START_S, KILLED_S, JOINED_S, STEP = 15.0, 3.0, 10.0, 1.25
STARTS, QUICK_STARTS = 6, 2
KILLS, QUICK_KILLS = 6, 1
TURNS, QUICK_TURNS, TURN_S = 20, 4, 3.0
WARM_S, WARM_STEPS = 12.0, 40
WAIT_S = 120.0
EQUAL = ("local.device=cpu", "balance.policy=equal", "balance.park=false",
         "membership.standby=false")  # fmt: skip
ENDLESS = ("train.steps=1000000",)


def measure(settings: Settings) -> Iterator[Case]:
    quick = settings.quick
    with lab.swarm() as swarm, Trials(swarm.inside) as trials:
        trials.write("text.txt", jobs.text_of_65_letters())
        trials.write("gpt.toml", jobs.GPT.replace("text.txt", str(trials.folder / "text.txt"))
                     + lab.image_table())  # fmt: skip
        swarm.give(lab.build(trials, "gpt.toml"))
        yield _start(trials, QUICK_STARTS if quick else STARTS)
        yield _step(trials, QUICK_TURNS if quick else TURNS)
        yield _killed(trials, swarm, QUICK_KILLS if quick else KILLS)
        yield _joined(trials, swarm, QUICK_KILLS if quick else KILLS)


def _start(trials: Trials, times: int) -> Case:
    def first() -> float:
        return trials.train("gpt.toml", [*EQUAL, "train.steps=2"], on="swarm").first_step_s

    taken = harness.spread([first() for _ in range(times)])
    return Case("start", taken.median, START_S, "s", sides={"s": taken})


def _step(trials: Trials, rounds: int) -> Case:
    one = (*EQUAL, *ENDLESS, f"local.workers={MACHINES}")
    starts = {
        "swarm": lambda: trials.start("gpt.toml", [*EQUAL, *ENDLESS], on="swarm"),
        "docker": lambda: trials.start("gpt.toml", one, on="docker"),
    }
    taken = turns.step_s(trials, starts, turns.Pattern(rounds, TURN_S, WARM_S, WARM_STEPS))
    ratio = harness.ratios(taken, "swarm", "docker")
    sides = {"ratio": ratio, **{f"{k} s": harness.spread(v) for k, v in taken.items()}}
    return Case("step", ratio.median, STEP, "x", sides=sides)


def _killed(trials: Trials, swarm: lab.Swarm, times: int) -> Case:
    """From the engine's end to the next step of the others."""
    run = trials.start("gpt.toml", [*EQUAL, *ENDLESS], on="swarm")
    taken = harness.spread([_gap(run, swarm) for _ in range(times)])
    trials.end(run)
    return Case("killed", taken.median, KILLED_S, "s", sides={"s": taken})


def _gap(run: RunDir, swarm: lab.Swarm) -> float:
    _await(run, lambda: _members(run) == MACHINES, "not all machines train together")
    before = look(run).events(GenerationFormed)[-1].generation
    at = swarm.kill(MACHINES - 1)
    _await(run, lambda: _first(run, before, at) is not None, "nobody goes on")
    swarm.start(MACHINES - 1)
    return (_first(run, before, at) or at) - at


def _joined(trials: Trials, swarm: lab.Swarm, times: int) -> Case:
    """From a machine's joining the Swarm to the first step that it has a share of."""
    taken = harness.spread([_join_s(trials, swarm) for _ in range(times)])
    return Case("joined", taken.median, JOINED_S, "s", sides={"s": taken})


def _join_s(trials: Trials, swarm: lab.Swarm) -> float:
    swarm.leave(MACHINES - 1)
    run = trials.start("gpt.toml", [*EQUAL, *ENDLESS], on="swarm")
    _await(run, lambda: _members(run) == MACHINES - 1, "the others do not train")
    before = look(run).events(GenerationFormed)[-1].generation
    at = swarm.join(MACHINES - 1)
    _await(run, lambda: _first(run, before, at) is not None, "it is not used")
    trials.end(run)
    return (_first(run, before, at) or at) - at


def _members(run: RunDir) -> int:
    formed = look(run).events(GenerationFormed)
    return len(formed[-1].ranks) if formed else 0


def _first(run: RunDir, generation: int, at: float) -> float | None:
    """When the first step of a later generation was committed."""
    commits = look(run).commits
    return next((t for t, e in commits if t > at and e.generation > generation), None)


def _await(run: RunDir, holds: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not (run.db.exists() and holds()):
        if time.monotonic() > deadline:
            raise MeasureError(f"{run.name}: {otherwise}")
        time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(harness.main("swarm", measure, __doc__, busy=harness.busy_share))
