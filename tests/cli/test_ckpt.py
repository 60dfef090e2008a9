"""The checkpoints of a run, from the command line: seen, verified, removed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evener.cli import main
from evener.config.load import job_to_json
from evener.rundir import checkpoints, layout
from evener.rundir.layout import RunDir
from tests.cli.test_ps_status import living
from tests.placement.test_placement import job
from tests.rundir.test_checkpoints import LOSSES, make


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    run = RunDir(tmp_path / "experiments" / "tiny")
    run.create()
    layout.write_atomic(run.job_file, job_to_json(job()))
    for step, loss in LOSSES.items():
        make(run.checkpoints, step, loss)
    return run


def damage(run: RunDir, step: int) -> None:
    (checkpoints.folder_of(run.checkpoints, step) / "model.safetensors").write_bytes(b"noise")


def told(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    assert main.main(["ckpt", *words]) == status
    shown = capsys.readouterr()
    return shown.err if status else shown.out


def test_a_list_shows_which_is_the_best(run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoints.set_aside(checkpoints.folder_of(run.checkpoints, 1))
    heads, *rows = told(capsys, "list", "tiny").splitlines()
    assert heads.split() == ["step", "loss", "size", "age"]
    assert [row.split()[:2] for row in rows] == [
        ["2", "0.3000"], ["3", "-"], ["4", "0.5000"], ["5", "0.7000"],
    ]  # fmt: skip
    assert [row.endswith("best") for row in rows] == [True, False, False, False]
    plain = json.loads(told(capsys, "list", "--json"))
    assert [c["step"] for c in plain["checkpoints"] if c["best"]] == [2]
    assert len(plain["damaged"]) == 1


def test_a_run_without_any_says_so(run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoints.prune(run.checkpoints, [])
    assert told(capsys, "list", "tiny").splitlines() == ["tiny has no checkpoint"]
    assert "tiny has no checkpoint" in told(capsys, "verify", "tiny", status=5)


def test_a_damaged_one_is_named_with_its_file(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(capsys, "verify", "tiny").count("whole") == 5
    damage(run, 4)
    assert main.main(["ckpt", "verify", "tiny"]) == 5
    shown = capsys.readouterr()
    assert "model.safetensors has other bytes" in shown.out
    assert "step-00000004 of tiny is damaged" in shown.err
    assert told(capsys, "verify", "tiny", "--checkpoint", "best").split() == [
        "step-00000002",
        "whole",
    ]


def test_what_the_job_does_not_keep_is_removed(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(run, 1)
    checkpoints.set_aside(checkpoints.folder_of(run.checkpoints, 1))
    assert told(capsys, "prune", "tiny", "--keep-last", "1", "--keep-best", "1").splitlines() == [
        "removed step-00000003",
        "removed step-00000004",
    ]
    assert "nothing to remove" in told(capsys, "prune", "tiny")
    assert "removed .damaged-step-00000001" in told(capsys, "prune", "tiny", "--damaged")
    assert len(list(run.checkpoints.iterdir())) == 2


def test_a_run_that_is_going_keeps_its_own(run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    living(run)
    assert "keeps its checkpoints itself" in told(capsys, "prune", "tiny", status=5)
    assert len(checkpoints.entries(run.checkpoints)) == 5
