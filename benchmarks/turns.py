"""Runs that take turns: all are there at once, but only one of them moves at any time.

The speed of a small shared machine drifts by a tenth from one minute to the next. Where a few per
cent matter, two runs one after the other cannot be told apart; two that change every few seconds
can, because they meet the same drift. Who waits is frozen whole: agents, ranks, head.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import harness
import lab
from evener import contract
from evener.launch import base, containers
from evener.rundir import ledger
from evener.rundir.layout import RunDir
from trial import Trials

EDGE_S = 0.3  # of a turn's begin that is not looked at: it has the others' freezing in it
LEAST_STEPS = 2  # of a turn
LONGEST, LOOK_S = 10, 0.5  # a turn takes at most so many times its span
HOME_S = 4.0  # in which ledgers come from machines with disks of their own
START_S = 900.0  # a rank with a fifth of a processor warms up slowly


@dataclass(frozen=True, slots=True)
class Pattern:
    """How often, for how long, and from when on: a run counts once it is warm."""

    turns: int
    span_s: float
    warm_s: float = 0.0  # since its start
    warm_steps: int = 0
    at_once: bool = False  # all are started together, each slowed by the others: to save time


@dataclass(slots=True)
class Side:
    """A run, and the processes that it was started as."""

    run: RunDir
    roots: list[int]
    spans: list[tuple[float, float]] = field(default_factory=list)  # its turns, by the wall clock

    def freeze(self) -> None:
        signal_all(self.roots, signal.SIGSTOP)

    def thaw(self) -> None:
        signal_all(self.roots, signal.SIGCONT)


def step_s(
    trials: Trials,
    starts: Mapping[str, Callable[[], RunDir]],
    pattern: Pattern,
    roots: Callable[[RunDir], list[int]] | None = None,
) -> dict[str, list[float]]:
    """Seconds of a typical step of each side, turn by turn. `starts` start runs that go on and
    come back at once; `roots` tells the processes of one that is not on one engine alone."""
    sides: dict[str, Side] = {}
    roots = roots or partial(roots_of, trials)

    def begin(name: str) -> None:
        run = _warmed(starts[name](), pattern)
        sides[name] = Side(run, roots(run))
        sides[name].freeze()

    try:
        with ThreadPoolExecutor(len(starts) if pattern.at_once else 1) as pool:
            list(pool.map(begin, starts))
        for turn in range(pattern.turns):
            for name in list(starts)[:: 1 if turn % 2 == 0 else -1]:
                _move(sides[name], pattern.span_s)
    finally:
        for side in sides.values():
            side.thaw()
    time.sleep(HOME_S)
    taken = {name: _typical(sides[name]) for name in starts}
    for side in sides.values():
        trials.end(side.run)
    return taken


def _move(side: Side, span_s: float) -> None:
    """For so long, or longer where steps are long: some have to lie in the turn as a whole."""
    side.thaw()
    began = time.time()
    wanted = len(commits(side.run)) + LEAST_STEPS + 2  # the first and the last do not
    time.sleep(span_s)
    while len(commits(side.run)) < wanted and time.time() < began + LONGEST * span_s:
        time.sleep(LOOK_S)
    side.spans.append((began + EDGE_S, time.time()))
    side.freeze()


def _warmed(run: RunDir, pattern: Pattern) -> RunDir:
    """The run, when it trains as it will."""
    ready = time.monotonic() + pattern.warm_s
    while time.monotonic() < ready + START_S:
        if len(commits(run)) >= pattern.warm_steps and time.monotonic() > ready:
            return run
        time.sleep(0.2)
    raise harness.MeasureError(f"{run.name} does not train")


def _typical(side: Side) -> list[float]:
    times = commits(side.run)
    return [_median(side.run, times, span) for span in side.spans]


def commits(run: RunDir) -> list[float]:
    """When the first rank committed its steps: it writes that down whatever a run reports."""
    file = run.ledger(0)
    if not file.is_file():
        return []
    return [line.time for life in ledger.read(file) for line in life.lines]


def _median(run: RunDir, times: Sequence[float], span: tuple[float, float]) -> float:
    """Of the steps that lie in a turn as a whole."""
    began, ended = span
    steps = [b - a for a, b in itertools.pairwise(times) if began <= a and b <= ended]
    if len(steps) < LEAST_STEPS:
        raise harness.MeasureError(f"{run.name} made only {len(steps)} steps in a turn")
    return statistics.median(steps)


# ------------------------------------------------------------------------------- freezing


def roots_of(trials: Trials, run: RunDir) -> list[int]:
    """The processes that the run was started as, or those of its containers."""
    handle = base.read_handle(run)
    if handle is not None and handle.processes:
        return [process.pid for process in handle.processes]
    return contained(trials, run)


def contained(trials: Trials, run: RunDir, *engine: str) -> list[int]:
    """Of the run's containers on an engine. That is on this machine, so that processes in them are
    seen here too; its own `pause` gives up on one that is short of processor."""
    label = f"label={contract.LABEL_RUN}={containers.identity(run)}"
    names = lab.docker(trials, *engine, "ps", "--quiet", "--filter", label).split()
    asked = ("inspect", "--format={{.State.Pid}}", *names)
    return [int(pid) for pid in lab.docker(trials, *engine, *asked).split()] if names else []


def signal_all(roots: Sequence[int], number: signal.Signals) -> None:
    """These processes and all that they started."""
    for pid in _families(roots):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _families(roots: Sequence[int]) -> Iterator[int]:
    """The processes and all that they started: parents before children."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    left = [pid for pid in roots if Path(f"/proc/{pid}").exists()]
    while left:
        yield (pid := left.pop())
        left += children.get(pid, [])
