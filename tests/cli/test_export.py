"""`evener export`: a model where nothing else is said, and a job for docker compose."""

from __future__ import annotations

from pathlib import Path

import pytest

from evener.cli import main


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_first_word_that_is_no_export_is_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["nobody"], ["model", "nobody"], ["--format", "pth", "nobody"]):
        assert main.main(["export", *words]) == 5
        assert "there is no run called 'nobody'" in capsys.readouterr().err


def test_the_help_shows_the_models_options_and_the_other_exports(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.main(["export", "--help"]) == 0
    shown = capsys.readouterr().out
    for words in ("[RUN] [OPTIONS] | compose JOB [OPTIONS]", "--format", "--checkpoint"):
        assert words in shown


def test_a_folder_for_compose_and_what_to_do_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["export", "compose", "demo", "--workers", "3", "--override", "train.steps=9"]
    assert main.main([*words, "-o", "a folder"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "'a folder' written: demo on 3 machines",
        "  train  cd 'a folder' && docker compose up",
    ]
    text = (tmp_path / "a folder" / "compose.yaml").read_text(encoding="utf-8")
    assert "\n  machine-2:\n" in text
    assert '"steps": 9' in (tmp_path / "a folder/experiments/demo/configs/job.json").read_text()
    assert main.main(["export", "compose", "demo"]) == 0
    assert (tmp_path / "demo-compose" / "compose.yaml").is_file()


def test_an_override_after_the_wrong_letter_is_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["export", "compose", "demo", "-o", "train.steps=9"]) == 2
    assert "--override train.steps=9" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_job_that_is_wrong_leaves_nothing(tmp_path: Path) -> None:
    assert main.main(["export", "compose", "nosuch", "-o", "out"]) == 2
    assert list(tmp_path.iterdir()) == []
