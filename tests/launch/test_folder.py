"""The folder for `docker compose`: whole or not there, and free of this machine."""

from __future__ import annotations

import json
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.placement.test_placement import machine

from evener import errors
from evener.config.load import load_job
from evener.image.build import Content
from evener.launch import folder
from evener.launch.folder import Export
from evener.placement import from_dict, plan_containers
from evener.rundir import layout
from evener.rundir.layout import RunDir

JOB = """
[model]
name = "gpt"

[data]
name = "text"
path = "text.txt"

[train]
steps = 3

[image]
wheels = "wheels"
"""


def export(place: Path) -> Export:
    (place / "wheels").mkdir(exist_ok=True)
    (place / "wheels" / "a.whl").touch()
    (place / "mine.py").touch()
    (place / "text.txt").touch()
    (place / "tiny.toml").write_text(JOB)
    job = load_job("tiny.toml", cwd=place).job
    plan = plan_containers(job, machine(cpus=4))
    return Export("tiny", job, plan, Content(job.image, "cpu", (place / "mine.py",)))


def write(place: Path, target: Path) -> None:
    made = export(place)
    with folder.building(target) as beside:
        folder.fill(beside, made)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    write(tmp_path, tmp_path / "out")
    return tmp_path / "out"


def test_all_that_compose_needs(written: Path) -> None:
    names = {path.name for path in written.iterdir()}
    assert names == {"README.md", "cache", "compose.yaml", "experiments", "image", "secret"}
    assert (written / "image/site/evener/head/__main__.py").is_file()
    assert (written / "image/code/mine.py").is_file()
    assert (written / "image/wheels/a.whl").is_file()
    assert "FROM" in (written / "image/Dockerfile").read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
def test_the_secret_is_its_owners(written: Path) -> None:
    assert stat.S_IMODE((written / "secret").stat().st_mode) == 0o600
    assert len((written / "secret").read_text().strip()) > 32


def test_of_this_machine_only_the_default_of_the_data(written: Path, tmp_path: Path) -> None:
    told = [p for p in written.rglob("*") if p.is_file() and "site" not in p.parts]
    naming = {p.name: p.read_text().count(str(tmp_path)) for p in told}
    assert {name: count for name, count in naming.items() if count} == {"compose.yaml": 1}
    stored = json.loads((written / "experiments/tiny/configs/job.json").read_text())
    assert stored["data"]["path"] == "/evener/data/text.txt"


def test_the_plan_says_who_starts_it(written: Path) -> None:
    plan = from_dict(layout.read_json(RunDir(written / "experiments/tiny").plan_file))
    assert plan.place == "compose"


def test_an_earlier_export_is_replaced_while_no_run_began_there(
    written: Path, tmp_path: Path
) -> None:
    before = (written / "secret").read_text()
    write(tmp_path, written)
    assert (written / "secret").read_text() != before
    RunDir(written / "experiments/tiny").db.touch()
    with pytest.raises(errors.BadCommand, match="has a run in it already: tiny"):
        write(tmp_path, written)


def test_what_is_somebody_elses_stays(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write(tmp_path, tmp_path / "out")  # an empty folder is nobody's
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "letter.txt").touch()
    with pytest.raises(errors.BadCommand, match="is not empty"):
        write(tmp_path, tmp_path / "own")
    with pytest.raises(errors.BadCommand, match="is a file"):
        write(tmp_path, tmp_path / "own" / "letter.txt")


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), folder.building(tmp_path / "a" / "out") as beside:
        (beside / "half" / "written").touch()
    assert list((tmp_path / "a").iterdir()) == []


def test_a_scripts_folder_goes_along_and_what_it_reads_can_be_said_elsewhere(
    tmp_path: Path,
) -> None:
    target, reads = tmp_path / "out", tmp_path / "images"
    reads.mkdir()
    (tmp_path / "train.py").write_text("import torch.distributed\n")
    for other in ("out/secret", "out/stack.yaml", "runs/old/configs/job.json"):
        (tmp_path / other).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / other).touch()
    said = (f'script.reads=["{reads}"]', "local.workers=2")
    job = load_job("train.py", said, tmp_path).job
    plan = plan_containers(job, machine(cpus=4))
    target = tmp_path / "made"
    made = Export("train", job, plan, Content(job.image, "cpu", ()))
    with folder.building(target) as beside:
        (found,) = folder.fill(beside, replace(made, leave_out=(target, beside)))
    assert (found.variable, found.target) == ("EVENER_READS_0", str(reads))
    run = RunDir(target / "experiments/train")
    assert [path.name for path in run.work.rglob("*") if path.is_file()] == ["train.py"]
    assert json.loads(run.job_file.read_text())["script"]["path"] == "../work/train.py"
    assert "${EVENER_READS_0:-" in (target / "compose.yaml").read_text()
