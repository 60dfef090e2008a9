"""A job whose script trains: what kind it is, what it brings, what it leaves to the job."""

from __future__ import annotations

from pathlib import Path

import pytest

from evener.config.load import job_from_json, job_to_json, load_job
from evener.config.script import imported, kind_of
from evener.errors import BadCombination, DataMissing

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
        (f"{API}x = = 1", "training"),
        ("x = = 1", "torchrun"),
    ],
)
def test_its_kind_is_read_off_its_imports(source: str, kind: str) -> None:
    assert kind_of(source) == kind


def test_what_it_imports() -> None:
    source = "import a.b, c\nfrom d.e import f\nfrom . import g\nfrom .h import i\n"
    assert imported(source) == {"a", "c", "d"}
    assert imported("x = = 1") == set()


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


REFUSED = {
    "a rate of its own": (["train.lr=0.1"], "train.lr is the script's own to say"),
    "samples of text": (["sample.tokens=3"], "a script brings its own"),
    "a model beside it": (["model.name=mlp"], "brings its own model and data"),
    "data beside it": (["data.name=mnist"], "brings its own model and data"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_nothing_would_read_is_refused(tmp_path: Path, name: str) -> None:
    overrides, words = REFUSED[name]
    (tmp_path / "train.py").write_text(API)
    with pytest.raises(BadCombination, match=words):
        load_job("train.py", overrides, tmp_path)


@pytest.mark.parametrize("override", ['script.args=["a"]', 'model={name="script"}'])
def test_without_a_script_nothing_is_left_to_one(tmp_path: Path, override: str) -> None:
    with pytest.raises(BadCombination, match="script"):
        load_job("demo", [override], tmp_path)


def test_a_script_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="there is no script"):
        load_job("train.py", (), tmp_path)
