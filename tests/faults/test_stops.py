"""Stopping, resuming and ending: cleanly, with a checkpoint, and nothing left running."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from evener.events import RunEnded, StepCommitted
from tests.faults import runs

pytestmark = pytest.mark.slow
TOLERANCE = 1e-11
LEAN = ("-o", "membership.standby=false")


def test_ctrl_c_stops_with_a_checkpoint_and_resume_ends_where_it_would_have(
    tmp_path: Path,
) -> None:
    job = runs.write_job(tmp_path, workers=2, steps=100, pause_s=0.05)
    run = runs.run_of(tmp_path)
    with runs.started(tmp_path, "run", str(job), *LEAN) as process:
        runs.wait_for(run, StepCommitted, step=20)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=runs.PATIENCE_S)
        assert process.returncode == 130, said
    assert "stopping with a checkpoint" in said
    assert "harm stopped at step" in said
    assert "evener resume harm" in said
    stopped = runs.wait_for(run, RunEnded)
    assert stopped.outcome == "stopped"
    assert 20 <= stopped.step < 100
    again = runs.evener(tmp_path, "resume", "harm", "--workers", "1", "--json")
    assert again.returncode == 0, again.stdout + again.stderr
    told = [json.loads(line) for line in again.stdout.splitlines()]
    assert (told[0]["kind"], told[0]["resumed"]) == ("RunStarted", True)
    assert min(e["step"] for e in told if e["kind"] == "StepCommitted") == stopped.step + 1
    steps = [e.step for e in runs.events(run, StepCommitted)]
    assert steps == list(range(1, 101))  # none lost, none twice
    whole = tmp_path / "whole"
    job = runs.write_job(whole, workers=1, steps=100)
    assert runs.evener(whole, "run", str(job), *LEAN).returncode == 0
    assert runs.difference(run, runs.run_of(whole)) < TOLERANCE
    runs.assert_kept(run)


def test_ctrl_c_before_the_first_step_leaves_nothing(tmp_path: Path) -> None:
    job = runs.write_job(tmp_path, workers=2)
    with runs.started(tmp_path, "run", str(job)) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it has begun to speak: processes are on their way
        process.send_signal(signal.SIGINT)
        assert process.wait(runs.PATIENCE_S) == 130
