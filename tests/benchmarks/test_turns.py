"""Who waits is frozen whole, and only whole steps of a turn count."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import turns
from evener.rundir.layout import RunDir
from harness import MeasureError

RUN = RunDir(Path("run"))


def test_a_turn_has_the_steps_that_lie_in_it_as_a_whole() -> None:
    commits = [0.0, 9.0, 10.0, 10.1, 10.2, 10.35, 10.45, 10.55, 30.0]
    assert turns._median(RUN, commits, (9.5, 11.0)) == pytest.approx(0.1)


def test_a_turn_with_hardly_a_step_is_no_figure() -> None:
    with pytest.raises(MeasureError, match="run made only 1 steps"):
        turns._median(RUN, [0.0, 1.0, 2.0], (0.5, 3.0))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_process_is_frozen_with_all_that_it_started() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 60 & wait"]) as shell:
        try:
            _await(lambda: len(list(turns._families([shell.pid]))) == 2)
            family = list(turns._families([shell.pid]))
            turns.signal_all([shell.pid], signal.SIGSTOP)
            _await(lambda: {_state(pid) for pid in family} == {"T"})
            turns.signal_all([shell.pid], signal.SIGCONT)
            _await(lambda: "T" not in {_state(pid) for pid in family})
        finally:
            turns.signal_all([shell.pid], signal.SIGKILL)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _await(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
