"""A rank that another program slows down is named once, with the cause, and so is its recovery."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from evener.events import Alert, StepCommitted
from evener.rundir.layout import RunDir
from tests.faults import runs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not hasattr(os, "sched_setaffinity"), reason="processes cannot be pinned on this system"
    ),
]
VICTIM = 1
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


def wait_for_alerts(run: RunDir, count: int) -> None:
    deadline = time.monotonic() + runs.PATIENCE_S
    while len(alerts(run)) < count:
        assert time.monotonic() < deadline, alerts(run)
        time.sleep(0.1)


def test_a_rank_slowed_down_by_other_programs_is_named_once_with_the_cause(tmp_path: Path) -> None:
    job = runs.write_job(tmp_path, workers=2, steps=1_000_000)
    wanted = ("log.every_s=0.5", "model.hidden=[600, 600]", "balance.policy=equal")
    words = [word for override in wanted for word in ("-o", override)]
    run = runs.run_of(tmp_path)
    cpu = max(os.sched_getaffinity(0))
    with runs.started(tmp_path, "run", str(job), *words) as process:
        runs.wait_for(run, StepCommitted, step=1)
        pin(runs.pid_of(run, VICTIM), cpu)
        time.sleep(8)  # it learns what is usual
        assert alerts(run) == []
        with burning(cpu, 4):
            wait_for_alerts(run, 1)
            time.sleep(4)  # and is not told again
        [(level, text)] = alerts(run)
        assert level == "warning"
        assert f"rank {VICTIM} takes " in text
        assert "another program" in text
        wait_for_alerts(run, 2)
        assert alerts(run)[1:] == [("note", f"rank {VICTIM} is back to speed")]
        assert runs.evener(tmp_path, "stop").returncode == 0
        process.wait(runs.PATIENCE_S)
