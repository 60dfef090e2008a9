"""What `docker compose up` shows of a run when it begins and ends, and what it ends with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evener import errors, placement
from evener.cli import begin, progress
from evener.config.load import job_to_json, load_job
from evener.events import CheckpointWritten, Event, Exported, Record, RunEnded, RunStarted
from evener.launch import project
from evener.placement import plan_containers
from evener.rundir import layout
from evener.rundir.layout import RunDir
from evener.rundir.store import Store
from tests.placement.test_placement import job, machine

STARTED = RunStarted("tiny", "tiny", "mlp", "synthetic_regression", 1, 1, 8, False, "compose")
KEPT = CheckpointWritten(7, "checkpoints/7", 10, 0.1, False, None)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    monkeypatch.setattr(project, "answers", lambda run: False)
    run = RunDir(tmp_path / "tiny")
    run.create()
    plan = replace(plan_containers(job(), machine()), place="compose")
    layout.write_json(run.plan_file, placement.to_dict(plan))
    layout.write_atomic(run.job_file, job_to_json(job()))
    return run


def tell(run: RunDir, *events: Event) -> None:
    with Store.open(run.db, write=True) as store:
        store.append([Record(e, 1.0 + n, "a00", n) for n, e in enumerate(events)])


def test_a_run_that_was_stopped_says_how_to_go_on(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    tell(run, STARTED, KEPT, RunEnded("stopped", 7))
    assert progress.main(run) == errors.INTERRUPTED_EXIT_STATUS
    assert "`docker compose up` goes on from step 7" in capsys.readouterr().out


def test_a_script_of_the_users_has_what_it_wrote_itself(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    (run.path / "train.py").write_text("")
    layout.write_atomic(run.job_file, job_to_json(load_job("train.py", (), run.path).job))
    tell(run, STARTED, RunEnded("stopped", 7))
    progress.main(run)
    assert "in experiments/tiny/work; `docker compose up` starts" in capsys.readouterr().out


def test_a_failure_is_explained_and_is_the_status(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    error = errors.DiskFull("the disk is full", where="here", fix="free some space")
    tell(run, STARTED, RunEnded("failed", 7, error.what, error.to_dict()))
    assert progress.main(run) == error.exit_status
    shown = capsys.readouterr()
    assert "error E501: the disk is full" in shown.err
    assert "experiments/tiny/logs" in shown.out
    assert "goes on from the beginning: there is no checkpoint yet" in shown.out


def test_one_that_has_finished_is_said_once(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    tell(run, STARTED, Exported("model.safetensors", 9), RunEnded("finished", 7))
    assert begin.main(run) == 0
    assert "tiny has finished" in capsys.readouterr().out
    assert progress.main(run) == 0
    assert capsys.readouterr().out == ""


def test_it_begins_and_goes_on(run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    assert begin.main(run) == 0
    assert begin.main(run) == 0
    assert capsys.readouterr().out.splitlines() == ["tiny begins", "tiny goes on: it was at step 0"]


def test_what_hinders_it_is_a_sentence_and_a_status(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    run.db.write_text("no record")
    assert begin.main(run) == 5
    assert "Traceback" not in capsys.readouterr().err
