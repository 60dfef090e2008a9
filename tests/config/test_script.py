"""A job whose script trains: what kind it is, what it brings, what it leaves to the job."""

from __future__ import annotations

from pathlib import Path

import pytest

from evener.config.load import job_from_json, job_to_json, load_job
from evener.config.script import kind_of, may_find_torch
from evener.errors import BadCombination, ScriptUnfit

API = "from evener import training\n"


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (API, "training"),
        ("import evener.training as t", "training"),
        ("def f():\n    from evener.training import start", "training"),
        ("import evener\nimport torch.distributed", "torchrun"),
        ("from .evener import training", "torchrun"),
        ("# from evener import training\n", "torchrun"),
    ],
)
def test_its_kind_is_read_off_its_imports(source: str, kind: str) -> None:
    assert kind_of(source) == kind


@pytest.mark.parametrize(
    ("source", "may"),
    [
        ("import os\nimport torch\nos.environ['A'] = 'b'", True),
        ('"""About it."""\nfrom accelerate import Accelerator\n', True),
        ("import os\nos.environ['OMP_NUM_THREADS'] = '1'\nimport torch", False),
        ("from dotenv import load_dotenv\nload_dotenv()\nimport torch", False),
        ("def f():\n    os.environ['A'] = 'b'\nimport torch", True),
        ("import sys\nsys.exit(3)", False),
    ],
)
def test_a_script_that_prepares_its_environment_finds_no_torch(source: str, may: bool) -> None:
    assert may_find_torch(source) is may


def test_a_script_is_a_job_by_itself(tmp_path: Path) -> None:
    (tmp_path / "My loop.py").write_text(API)
    loaded = load_job("My loop.py", ["local.workers=2"], tmp_path)
    assert (loaded.name, loaded.folder, loaded.job.local.workers) == ("My-loop", tmp_path, 2)
    assert loaded.job.script.path == str(tmp_path / "My loop.py")
    assert loaded.job.script.kind == "training"
    assert not loaded.job.batch_known


def test_what_it_leaves_to_the_job_is_told_from_what_was_not_said(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(API)
    (tmp_path / "job.toml").write_text('[script]\npath = "train.py"\n[data]\nworkers = 2\n')
    job = load_job("job.toml", ["train.global_batch=32", "train.seed=1337"], tmp_path).job
    again = job_from_json(job_to_json(job))
    assert again == job
    assert again.train.model_fields_set == {"global_batch", "seed"}
    assert again.batch_known
    assert again.data.workers == 2


PLAIN = "import torch.distributed\n"
REFUSED = {
    "a rate of its own": (API, "train.lr=0.1", "train.lr is the script's own to say"),
    "samples of text": (API, "sample.tokens=3", "a script brings its own"),
    "a model beside it": (API, "model.name=mlp", "brings its own model and data"),
    "data beside it": (API, "data.name=mnist", "brings its own model and data"),
    "processes of a loop": (API, "script.nproc=2", "script.nproc is for scripts that torchrun"),
    "a batch that nobody reads": (PLAIN, "train.global_batch=9", "train.global_batch is a torch"),
    "checkpoints of ours": (PLAIN, "checkpoint.every_s=9", "checkpoint.every_s is a torchrun"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_nothing_would_read_is_refused(tmp_path: Path, name: str) -> None:
    text, override, words = REFUSED[name]
    (tmp_path / "train.py").write_text(text)
    with pytest.raises(BadCombination, match=words):
        load_job("train.py", [override], tmp_path)


def test_a_torchrun_script_is_a_job_that_stays_one_when_written_down(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(PLAIN)
    job = load_job("train.py", ["script.nproc=2", "membership.dead_s=9"], tmp_path).job
    assert (job.is_torchrun, job.is_own_loop, job.batch_known) == (True, False, False)
    assert job_from_json(job_to_json(job)) == job


@pytest.mark.parametrize("override", ['script.args=["a"]', 'model={name="script"}'])
def test_without_a_script_nothing_is_left_to_one(tmp_path: Path, override: str) -> None:
    with pytest.raises(BadCombination, match="script"):
        load_job("demo", [override], tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("train.py", None, "there is no script 'train.py'"),
        ("train.py", "x = = 1", "no Python that can be run"),
        ("train.ipynb", "{}", "a notebook"),
    ],
)
def test_a_script_has_to_be_there_and_to_be_one(
    tmp_path: Path, name: str, text: str | None, words: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ScriptUnfit, match=words):
        load_job(name, (), tmp_path)
