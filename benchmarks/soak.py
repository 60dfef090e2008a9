"""A run that is hurt every fifteen seconds: how much of its speed is left, is every promise kept?

    python benchmarks/soak.py [--minutes 60] [--seed 1] [--quick]

Three machines train on this one. Drawn from the seed, every fifteen seconds a rank is killed, a
machine frozen for up to six seconds, two ranks killed at once, or the head. Before and after that
they are left alone for a minute: the steps of the time between, against theirs, are the goodput.
At the end every promise must be kept by every rank's ledger. A full run is an hour.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import os
import random
import signal
import sys
import time
from collections.abc import Callable

import faults
import harness
import turns
from faults import Patient
from harness import Case, Settings
from trial import Trials

EVERY_S, ALONE_S = 15.0, 60.0
QUICK_MINUTES, QUICK_ALONE_S = 1.0, 15.0
FROZEN_S = (0.5, 6.0)
TARGET = 0.8


def _kill(run: Patient, drawn: random.Random) -> None:
    os.kill(run.pid(drawn.randrange(faults.RANKS)), signal.SIGKILL)


def _kill_two(run: Patient, drawn: random.Random) -> None:
    for rank in drawn.sample(range(faults.RANKS), 2):
        os.kill(run.pid(rank), signal.SIGKILL)


def _freeze(run: Patient, drawn: random.Random) -> None:
    agent = f"agent a{drawn.randrange(faults.RANKS):02d}"
    machine = turns.Side(run.run, run.processes(agent))
    machine.freeze()
    try:
        time.sleep(drawn.uniform(*FROZEN_S))
    finally:
        machine.thaw()


def _behead(run: Patient, drawn: random.Random) -> None:
    faults.kill_heads(run)


FAULTS: tuple[Callable[[Patient, random.Random], None], ...] = (_kill, _freeze, _kill_two, _behead)


def soak(trials: Trials, minutes: float, alone_s: float, seed: int) -> Case:
    drawn, done = random.Random(seed), collections.Counter[str]()
    with faults.patient(trials, faults.SMALL) as run:
        run.calm(range(faults.RANKS))
        marks = [time.time()]
        time.sleep(alone_s)
        marks.append(time.time())
        while time.time() < marks[1] + 60 * minutes:
            due = time.time() + EVERY_S
            fault = drawn.choice(FAULTS)
            done[fault.__name__.strip("_")] += 1
            try:
                fault(run, drawn)
            except ProcessLookupError:
                done["already dead"] += 1
            time.sleep(max(due - time.time(), 0.0))
        marks.append(time.time())
        run.calm(range(faults.RANKS))
        marks.append(time.time())
        time.sleep(alone_s)
        marks.append(time.time())
        steps = [_steps(run, a, b) for a, b in itertools.pairwise(marks)]
    before, during, _, after = steps
    usual = (before + after) / 2
    sides = {
        "steps/s": harness.spread([before, after]),
        "under faults /s": harness.spread([during]),
    }
    notes = {"minutes": minutes, "seed": seed, "faults": dict(done), "steps": len(run.committed())}
    return Case("goodput", during / usual, TARGET, "x", at_most=False, sides=sides, notes=notes)


def _steps(run: Patient, since: float, until: float) -> float:
    """Committed steps per second: each counts when it was there first."""
    return sum(since < at <= until for at in run.committed().values()) / (until - since)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under three minutes; no record")
    parser.add_argument("--minutes", type=float, default=60.0, help="how long there are faults")
    parser.add_argument("--seed", type=int, default=1, help="which ones, and when")
    given = parser.parse_args()
    minutes = QUICK_MINUTES if given.quick else given.minutes
    alone_s = QUICK_ALONE_S if given.quick else ALONE_S
    try:
        with Trials() as trials:
            case = soak(trials, minutes, alone_s, given.seed)
    except harness.MeasureError as reason:
        print(f"soak: not measured: {reason}", file=sys.stderr)
        return 2
    print(harness.verdict("soak", case))
    if not given.quick:
        record = harness.report("soak", [case], Settings())
        harness.write(harness.RESULTS / "soak.json", record)
    return 0 if case.ok else 1


if __name__ == "__main__":
    sys.exit(main())
