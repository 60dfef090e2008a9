"""From a source to a job: where files are looked for, what paths mean, what a run is called."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evener.config.load import job_from_json, job_to_json, load_job, recipe
from evener.config.schema import Text
from evener.errors import JobError, JobNotFound, JobSyntax, NotPermitted, StoreDamaged

JOB = """\
[model]
name = "gpt"
[data]
name = "text"
path = "input.txt"
[train]
steps = 5
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "first.toml").write_text(JOB)
    return tmp_path


def path_of(source: str, folder: Path, *overrides: str) -> str:
    data = load_job(source, overrides, folder).job.data
    assert isinstance(data, Text)
    return data.path


def refused(source: str, folder: Path) -> JobError:
    with pytest.raises(JobError) as caught:
        load_job(source, (), folder)
    return caught.value


def test_a_job_is_named_after_its_file(folder: Path) -> None:
    loaded = load_job("jobs/first.toml", (), folder)
    assert (loaded.name, loaded.origin, loaded.folder) == (
        "first",
        "jobs/first.toml",
        folder / "jobs",
    )


def test_a_name_of_its_own_goes_before_the_file_s(folder: Path) -> None:
    assert load_job("jobs/first.toml", ["name=other"], folder).name == "other"


@pytest.mark.parametrize(
    ("file", "name"),
    [("my first job.toml", "my-first-job"), ("-Ünï-.toml", "n"), ("...toml.toml", "toml")],
)
def test_a_file_s_name_becomes_one_that_any_folder_may_have(
    tmp_path: Path, file: str, name: str
) -> None:
    (tmp_path / file).write_text(JOB)
    assert load_job(file, (), tmp_path).name == name


def test_paths_start_at_the_job_file(folder: Path) -> None:
    assert path_of("jobs/first.toml", folder) == str(folder / "jobs" / "input.txt")


def test_paths_of_a_recipe_start_where_the_person_stands(folder: Path) -> None:
    assert path_of("shakespeare-char", folder) == str(folder / "input.txt")


def test_a_path_typed_as_an_override_starts_where_it_was_typed(folder: Path) -> None:
    assert path_of("jobs/first.toml", folder, "data.path=mine.txt") == str(folder / "mine.txt")


def test_absolute_and_built_in_data_stay_as_they_are(folder: Path) -> None:
    assert path_of("jobs/first.toml", folder, "data.path=/somewhere/x.txt") == "/somewhere/x.txt"
    assert path_of("demo", folder) == "builtin:python-manual"


def test_a_tilde_is_the_home(folder: Path) -> None:
    assert path_of("jobs/first.toml", folder, "data.path=~/x.txt") == str(Path.home() / "x.txt")


def test_the_home_of_nobody_is_a_wrong_value(folder: Path) -> None:
    with pytest.raises(JobError, match="nobody's home"):
        load_job("jobs/first.toml", ["data.path=~no-such-person/x"], folder)


def test_weights_are_found_like_data(folder: Path) -> None:
    (folder / "jobs" / "cifar.toml").write_text(
        '[model]\nname = "resnet18"\nweights = "w.pth"\n[data]\nname = "cifar10"\n'
        "[train]\nsteps = 1\n"
    )
    model = load_job("jobs/cifar.toml", (), folder).job.model
    assert getattr(model, "weights", None) == str(folder / "jobs" / "w.pth")


def test_a_recipe_goes_before_a_folder_of_its_name(folder: Path) -> None:
    (folder / "demo").mkdir()
    assert load_job("demo", (), folder).origin == "recipe demo"


def test_what_windows_editors_write_is_read(tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_bytes(b"\xef\xbb\xbf" + JOB.replace("\n", "\r\n").encode())
    assert load_job("job.toml", (), tmp_path).job.train.steps == 5


def test_text_that_is_not_utf8_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_bytes(JOB.encode() + b'# caf\xe9\n"')
    error = refused("job.toml", tmp_path)
    assert isinstance(error, JobSyntax)
    assert error.where == "job.toml:8"


def test_a_missing_file_names_the_one_that_was_meant(folder: Path) -> None:
    error = refused("jobs/frist.toml", folder)
    assert isinstance(error, JobNotFound)
    assert error.fix == f"did you mean '{Path('jobs/first.toml')}'?"


def test_a_missing_recipe_names_the_one_that_was_meant(folder: Path) -> None:
    error = refused("shakespear-char", folder)
    assert error.fix.startswith("did you mean 'shakespeare-char'?")


def test_a_file_without_its_ending_is_meant_too(folder: Path) -> None:
    assert refused("first", folder / "jobs").fix.startswith("did you mean 'first.toml'?")


def test_a_recipe_named_like_a_file_is_offered_as_a_file(folder: Path) -> None:
    assert refused("demo.toml", folder).fix.startswith("the recipe is 'demo'; evener init demo")


def test_a_folder_is_no_job_but_may_hold_one(folder: Path) -> None:
    error = refused("jobs/", folder)
    assert (error.what, error.fix) == (
        "jobs/ is a folder",
        "name the file, such as jobs/first.toml",
    )


def test_nothing_like_it_anywhere(tmp_path: Path) -> None:
    assert "evener recipes" in refused("qqqqqq", tmp_path).fix
    assert "evener recipes" in refused("qqqqqq.toml", tmp_path).fix
    assert "evener recipes" in refused("no/such/folder/qqqqqq.toml", tmp_path).fix


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything"
)
def test_a_file_that_may_not_be_read(folder: Path) -> None:
    (folder / "jobs" / "first.toml").chmod(0)
    with pytest.raises(NotPermitted):
        load_job("jobs/first.toml", (), folder)


def test_a_recorded_job_is_a_job_file(folder: Path) -> None:
    first = load_job("jobs/first.toml", ["train.lr=0.5"], folder).job
    (folder / "again.json").write_text(job_to_json(first))
    assert load_job("again.json", (), folder).job == first


def test_a_job_recorded_by_a_later_version_loses_only_what_is_unknown_here(folder: Path) -> None:
    job = load_job("jobs/first.toml", (), folder).job
    values = json.loads(job_to_json(job))
    values["version"] = 99
    values["orbit"] = {"height": 3}
    values["train"]["telepathy"] = True
    values["model"]["n_souls"] = 2
    assert job_from_json(json.dumps(values)) == job


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"train": 5}', '{"model": {"name": "x"}}'])
def test_a_damaged_record_is_named_so(text: str) -> None:
    with pytest.raises(StoreDamaged):
        job_from_json(text)


def test_an_editor_s_schema_line_is_no_key(tmp_path: Path) -> None:
    job = {"$schema": "./s.json", "model": {"name": "mlp"}, "data": {"name": "mnist"}}
    (tmp_path / "job.json").write_text(json.dumps({**job, "train": {"epochs": 1}}))
    assert load_job("job.json", (), tmp_path).job.train.epochs == 1


def test_a_recipe_by_name(tmp_path: Path) -> None:
    assert recipe("demo").path.name == "demo.toml"
    with pytest.raises(JobNotFound):
        recipe("no-such-recipe", tmp_path)


def test_loading_needs_no_torch() -> None:
    code = (
        "import sys; from evener.config.load import load_job; load_job('demo');"
        "heavy = {'torch', 'numpy', 'rich', 'typer'} & set(sys.modules); assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
