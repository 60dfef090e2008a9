"""A job file for a script: what can be seen is in it, and it is a job."""

from __future__ import annotations

from pathlib import Path

import pytest

from evener.cli.main import main
from evener.config.load import load_job


def test_a_script_gets_a_job_file_that_runs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "pictures"
    data.mkdir()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "train.py").write_text(
        "import wandb\nroot = '../pictures'\nother = '/no/such/folder'\n"
    )
    (mine / "requirements.txt").write_text("wandb\n")
    monkeypatch.chdir(mine)
    assert main(["init", "train.py"]) == 0
    assert capsys.readouterr().out == ("train.toml written; start it with: evener run train.toml\n")
    job = load_job("train.toml", (), mine).job
    assert (job.script.path, job.script.kind) == (str(mine / "train.py"), "torchrun")
    assert [Path(path).resolve() for path in job.script.reads] == [data]
    assert job.env.variables == {"WANDB_MODE": "offline"}
    assert "requirements.txt adds wandb" in (mine / "train.toml").read_text()
    assert main(["init", "train.py"]) == 2  # it is there
    assert main(["init", "nothing.py"]) == 4
