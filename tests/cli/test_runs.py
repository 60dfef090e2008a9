from __future__ import annotations

import os
from pathlib import Path

import pytest

from evener.cli import runs
from evener.errors import BadCommand, RunNotFound
from tests.synthetic_run import run_with


def test_a_run_is_found_by_name_or_folder(tmp_path: Path) -> None:
    run = run_with(tmp_path, [], "gpt")
    assert runs.resolve("gpt", tmp_path).path == run.path
    assert runs.resolve(str(run.path), Path("elsewhere")).path == run.path


def test_a_name_that_nearly_fits_is_offered(tmp_path: Path) -> None:
    run_with(tmp_path, [], "resnet18-cifar10")
    with pytest.raises(RunNotFound) as caught:
        runs.resolve("resnet18-cifar", tmp_path)
    assert "did you mean 'resnet18-cifar10'?" in caught.value.fix


def test_without_a_name_it_is_the_one_started_last_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for age, name in ((30, "b"), (10, "a"), (20, "c")):
        run = run_with(tmp_path, [], name)
        os.utime(run.job_file, (1_700_000_000 - age, 1_700_000_000 - age))
    assert runs.resolve(None, tmp_path).name == "a"
    said = capsys.readouterr()
    assert said.err.strip() == "the run started last: a"
    assert said.out == ""


def test_without_any_run_the_way_out_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunNotFound, match="there is no run under"):
        runs.resolve(None, tmp_path)


@pytest.mark.parametrize(("text", "meant"), [("best", "best"), ("last", "last"), ("250", 250)])
def test_checkpoints_are_named_by_role_or_step(text: str, meant: object) -> None:
    assert runs.checkpoint(text) == meant


@pytest.mark.parametrize("text", ["", "newest", "-3", "1.5"])
def test_other_names_are_no_checkpoint(text: str) -> None:
    with pytest.raises(BadCommand):
        runs.checkpoint(text)
