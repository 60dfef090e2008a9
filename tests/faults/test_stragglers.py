"""A rank that another program slows down is named with the cause, and so is its recovery."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from evener.events import Alert, RankTimed, StepCommitted
from evener.rundir.layout import RunDir
from tests.faults import runs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not hasattr(os, "sched_setaffinity"), reason="processes cannot be pinned on this system"
    ),
]
VICTIM = 1
LEARNT = 14  # reports, from which a rank knows what is usual
BURN = "while True: pass"


def pin(pid: int, cpu: int) -> None:
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {cpu})


@contextmanager
def burning(cpu: int, programs: int) -> Iterator[None]:
    """Other programs that want all of this processor, each in a session of its own: the
    scheduler may share a processor among sessions, not among programs."""
    command = [sys.executable, "-c", BURN]
    started = [subprocess.Popen(command, start_new_session=True) for _ in range(programs)]
    try:
        for process in started:
            os.sched_setaffinity(process.pid, {cpu})
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def alerts(run: RunDir) -> list[tuple[str, str]]:
    told = runs.events(run, Alert)
    return [(a.level, a.text) for a in told if a.rank == VICTIM]


def wait_for_reports(run: RunDir, more: int) -> None:
    """However long they take: a busy machine reports more seldom, and learns as much from each."""
    deadline, wanted = time.monotonic() + runs.PATIENCE_S, reports(run) + more
    while reports(run) < wanted:
        assert time.monotonic() < deadline, (reports(run), wanted)
        time.sleep(0.1)


def reports(run: RunDir) -> int:
    return sum(timed.rank == VICTIM for timed in runs.events(run, RankTimed))


def wait_for_alert(run: RunDir, level: str, words: str, after: int = 0) -> int:
    """How many alerts there are once one of that kind has come, those before `after` left out."""
    deadline = time.monotonic() + runs.PATIENCE_S
    while not any(kind == level and words in text for kind, text in alerts(run)[after:]):
        assert time.monotonic() < deadline, alerts(run)
        time.sleep(0.1)
    return len(alerts(run))


def test_a_rank_slowed_down_by_other_programs_is_named_with_the_cause(tmp_path: Path) -> None:
    """That it is named once is tested where nothing else disturbs it: in engine/straggler."""
    job = runs.write_job(tmp_path, workers=2, steps=1_000_000)
    # a model that computes long: else fetching the samples takes a part of a crowded step too
    wanted = (
        "membership.standby=false",
        "log.every_s=0.5",
        "model.hidden=[1500, 1500]",
        "balance.policy=equal",
    )
    words = [word for override in wanted for word in ("-o", override)]
    run = runs.run_of(tmp_path)
    cpu = max(os.sched_getaffinity(0))
    with runs.started(tmp_path, "run", str(job), *words) as process:
        runs.wait_for(run, StepCommitted, step=1)
        pin(runs.pid_of(run, VICTIM), cpu)
        wait_for_reports(run, LEARNT)
        with burning(cpu, 4):
            named = wait_for_alert(run, "warning", "another program")
        wait_for_alert(run, "note", f"rank {VICTIM} is back to speed", named)
        assert runs.evener(tmp_path, "stop").returncode == 0
        process.wait(runs.PATIENCE_S)
