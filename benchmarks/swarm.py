"""A Docker Swarm of three engines: how long until it trains, what it costs, what a death costs.

Three real engines on this machine, each in a network namespace of its own, joined by an overlay.
The step on it is held against that of the same job and image on the same engines without it: as a
pool, whose machines are containers in the engines' own networks. Then an engine is killed with all
that runs on it.

It needs root on Linux; the first time, the image is built: two minutes more.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import harness
import jobs
import lab
import pool
import turns
from evener.docker import Engine
from evener.events import GenerationFormed
from evener.pool import contained
from evener.rundir.layout import RunDir
from harness import Case, MeasureError, Settings
from trial import Trials, look

JOB, MACHINES = "gpt.toml", 3
START_S, KILLED_S, JOINED_S, STEP = 15.0, 3.0, 10.0, 1.25
STARTS, QUICK_STARTS = 6, 2
KILLS, QUICK_KILLS = 6, 1
FULL = turns.Pattern(turns=20, span_s=3.0, warm_s=12.0, warm_steps=40)
QUICK = turns.Pattern(turns=3, span_s=3.0, warm_s=6.0, warm_steps=20, at_once=True)
WAIT_S = 120.0
EQUAL = ("local.device=cpu", "balance.policy=equal", "balance.park=false",
         "membership.standby=false")  # fmt: skip
ENDLESS = ("train.steps=1000000",)


def measure(settings: Settings) -> Iterator[Case]:
    quick = settings.quick
    with lab.swarm(_build) as swarm, _trials(swarm.inside) as trials:
        if settings.wants("start"):
            yield _start(trials, QUICK_STARTS if quick else STARTS)
        if settings.wants("step"):
            yield _step(swarm, QUICK if quick else FULL)
        if settings.wants("killed"):
            yield _killed(trials, swarm, QUICK_KILLS if quick else KILLS)
        if settings.wants("joined"):
            yield _joined(trials, swarm, QUICK_KILLS if quick else KILLS)


@contextlib.contextmanager
def _trials(inside: Sequence[str] = ()) -> Iterator[Trials]:
    with Trials(inside) as trials:
        text = trials.write("text.txt", jobs.text_of_65_letters())
        trials.write(JOB, jobs.GPT.replace("text.txt", str(text)) + lab.image_table())
        yield trials


def _build() -> None:
    with _trials() as trials:
        lab.build(trials, JOB)


def _start(trials: Trials, times: int) -> Case:
    def first() -> float:
        return trials.train(JOB, [*EQUAL, "train.steps=2"], on="swarm").first_step_s

    taken = harness.spread([first() for _ in range(times)])
    return Case("start", taken.median, START_S, "s", sides={"s": taken})


def _step(swarm: lab.Swarm, pattern: turns.Pattern) -> Case:
    address = lab.asked("info", "--format={{.Swarm.NodeAddr}}")
    up = ("--address", address, "--network", "host")
    with pool.pool_of(swarm.insides, up) as machines, _trials(machines.on(0)) as trials:
        image = lab.build(trials, JOB)
        with _contained(swarm, machines, image) as waiting:

            def roots(run: RunDir) -> list[int]:
                """Its own containers on each of the engines; or else its head, and who waits."""
                of = (turns.contained(trials, run, "-H", host) for host in swarm.hosts)
                found = [pid for each in of for pid in each]
                return found or [*turns.roots_of(trials, run), *waiting]

            starts = {
                "overlay": lambda: trials.start(JOB, [*EQUAL, *ENDLESS], on="swarm"),
                "host": lambda: trials.start(JOB, [*EQUAL, *ENDLESS], on="pool"),
            }
            taken = turns.step_s(trials, starts, pattern, roots)
    ratio = harness.ratios(taken, "overlay", "host")
    sides = {"ratio": ratio, **{f"{k} s": harness.spread(v) for k, v in taken.items()}}
    return Case("step", ratio.median, STEP, "x", sides=sides)


@contextlib.contextmanager
def _contained(swarm: lab.Swarm, machines: pool.Machines, image: str) -> Iterator[list[int]]:
    """The pool's machines as containers of the engines, in their networks; and their processes."""
    machines.evener(0, "leave")
    entry = contained.Entry(machines.code, image)
    with contextlib.ExitStack() as stack:
        for host in swarm.hosts:
            engine = Engine(("docker", "-H", host))
            stack.callback(contained.Container(engine).remove)
            engine.call(*contained.line(entry))
        deadline = time.monotonic() + WAIT_S
        while len(json.loads(machines.evener(0, "nodes", "--json"))) < len(swarm.hosts):
            if time.monotonic() > deadline:
                raise MeasureError("not all machines join the pool")
            time.sleep(0.5)
        asked = ("inspect", "--format={{.State.Pid}}", contained.NAME)
        yield [int(lab.asked("-H", host, *asked)) for host in swarm.hosts]


def _killed(trials: Trials, swarm: lab.Swarm, times: int) -> Case:
    """From the engine's end to the next step of the others."""
    run = trials.start(JOB, [*EQUAL, *ENDLESS], on="swarm")
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
    run = trials.start(JOB, [*EQUAL, *ENDLESS], on="swarm")
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
