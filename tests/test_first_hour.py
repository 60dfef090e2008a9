"""What a newcomer does in the first hour, from the command line, on a small demo."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.faults import runs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the demo, shortened, has been run."""
    folder = tmp_path_factory.mktemp("hour")
    done = runs.evener(
        folder, "run", "demo", "-o", "train.steps=60", "-o", "validation.every_steps=20",
        "-o", "sample.tokens=40", EVENER_CACHE=str(folder / "cache"),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "said.txt").write_text(done.stdout)
    return folder


def ask(folder: Path, *words: str) -> str:
    done = runs.evener(folder, *words, EVENER_CACHE=str(folder / "cache"))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_run_says_where_everything_is(folder: Path) -> None:
    said = (folder / "said.txt").read_text()
    for place in ("experiments/demo", "run.db", "logs", "checkpoints", "model.safetensors"):
        assert place in said
    assert "evener sample demo" in said


def test_everything_of_a_run_is_in_its_folder(folder: Path) -> None:
    run = runs.run_of(folder, "demo")
    assert json.loads(run.job_file.read_text())["model"]["name"] == "gpt"
    assert (run.configs / "profile.json").exists()
    for rank in range(3):
        assert run.rank_log(rank).exists()
        reports = json.loads(run.rank_metrics(rank).read_text())
        assert {"step", "share", "forward_s", "backward_s"} <= set(reports[0])
    assert list(run.checkpoints.glob("step-*/MANIFEST.json"))


def test_the_loss_falls(folder: Path) -> None:
    status = json.loads(ask(folder, "status", "demo", "--json"))
    assert status["phase"] == "finished"
    assert status["step"] == 60
    losses = [v["loss"] for v in status["validations"]]
    assert losses[-1] < losses[0] < 5


def test_the_model_writes(folder: Path) -> None:
    one = ask(folder, "sample", "demo", "--prompt", "The ", "--tokens", "20", "--seed", "3")
    two = ask(folder, "sample", "demo", "--prompt", "The ", "--tokens", "20", "--seed", "3")
    assert one == two
    assert len(one) > 20


def test_the_model_is_measured_as_it_was_in_training(folder: Path) -> None:
    measured = json.loads(ask(folder, "eval", "demo", "--checkpoint", "last", "--json"))
    status = json.loads(ask(folder, "status", "demo", "--json"))
    assert measured["loss"] == pytest.approx(status["validations"][-1]["loss"], rel=1e-5)


@pytest.mark.parametrize("kind", ["safetensors", "pth"])
def test_the_model_is_exported(folder: Path, kind: str) -> None:
    file = folder / f"out.{kind}"
    ask(folder, "export", "demo", "--format", kind, "-o", str(file))
    weights = load_file(file) if kind == "safetensors" else torch.load(file, weights_only=True)
    own = load_file(runs.run_of(folder, "demo").export_file)
    assert set(weights) == set(own)
    assert all(torch.equal(weights[k], own[k]) for k in own)
