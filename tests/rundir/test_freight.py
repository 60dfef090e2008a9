"""What travels between machines: only what may, only whole, never twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.rundir.test_checkpoints import make

from evener import contract
from evener.config.schema import Checkpoint
from evener.rundir import checkpoints, freight, layout
from evener.rundir.layout import RunDir

KEEP = Checkpoint(keep_last=2, keep_best=0)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = RunDir(tmp_path / "run")
    run.create()
    return run


def away(tmp_path: Path, step: int) -> RunDir:
    """Another machine's folder, with a checkpoint."""
    run = RunDir(tmp_path / "away")
    run.create()
    make(run.checkpoints, step)
    return run


def bring(here: RunDir, there: RunDir, folder: Path) -> None:
    for name in freight.of_checkpoint(there, folder):
        freight.take(here, name, 0, (there.path / name).read_bytes())


def test_configs_and_checkpoints_go_out_and_the_secret_does_not(run: RunDir) -> None:
    for name in ("job.json", "plan.json", "handle.json", "secret", "profile.json"):
        (run.configs / name).write_text("{}")
    make(run.checkpoints, 1)
    make(run.checkpoints, 2)
    told = freight.listing(run)
    assert told["configs"] == {"configs/job.json": 2, "configs/plan.json": 2}
    assert list(told["checkpoints"]) == ["step-00000001", "step-00000002"]
    assert freight.to_send(run, "configs/job.json") == run.job_file
    for hidden in ("configs/secret", "configs/handle.json", "run.db", "configs/../configs/secret"):
        assert freight.to_send(run, hidden) is None


@pytest.mark.parametrize(
    "name",
    [
        "run.db", "configs/job.json", "logs/head.log", "logs/../run.db", "logs/rank_0.log/..",
        "/etc/passwd", "logs/rank_0.log\n", "checkpoints/step-00000001/other", "logs/", "",
        "checkpoints/step-00000001/../../run.db", "logs/agent_../../x.log", "logs/.reserve",
        "checkpoints/step-1/COMMIT", "logs\\rank_0.log", "model.safetensors/",
        "./model.safetensors",
    ],
)  # fmt: skip
def test_nothing_else_is_taken(name: str) -> None:
    assert not freight.takes(name)


@given(st.text(max_size=40))
def test_what_is_taken_stays_in_the_folder(name: str) -> None:
    if freight.takes(name):
        assert ".." not in Path(name).parts
        assert not name.startswith("/")


def test_a_log_grows_as_it_comes_and_nothing_twice(run: RunDir) -> None:
    name = "logs/rank_0.log"
    assert freight.take(run, name, 0, b"one ") == 4
    assert freight.take(run, name, 0, b"one two ") == 8  # its answer had been lost
    assert freight.take(run, name, 20, b"much later") == 8  # a gap is not left
    assert freight.take(run, name, 8, b"three") == 13
    assert (run.path / name).read_bytes() == b"one two three"


def test_a_checkpoint_is_none_before_all_of_it_is_there(run: RunDir, tmp_path: Path) -> None:
    there = away(tmp_path, 7)
    (folder,) = checkpoints.folders(there.checkpoints)
    names = list(freight.of_checkpoint(there, folder))
    for name in names[:-1]:
        freight.take(run, name, 0, (there.path / name).read_bytes())
        assert checkpoints.entries(run.checkpoints) == []
    assert not freight.settle_checkpoint(run, folder.name, KEEP)
    bring(run, there, folder)
    assert freight.settle_checkpoint(run, folder.name, KEEP)
    assert checkpoints.verify(run.checkpoints / folder.name).step == 7
    assert freight.settle_checkpoint(run, folder.name, KEEP)  # its answer had been lost


def test_a_checkpoint_with_a_flipped_bit_is_thrown_away(run: RunDir, tmp_path: Path) -> None:
    there = away(tmp_path, 7)
    (folder,) = checkpoints.folders(there.checkpoints)
    weights = folder / "model.safetensors"
    right = weights.read_bytes()
    weights.write_bytes(bytes([right[0] ^ 1, *right[1:]]))
    bring(run, there, folder)
    assert not freight.settle_checkpoint(run, folder.name, KEEP)
    weights.write_bytes(right)
    bring(run, there, folder)
    assert freight.settle_checkpoint(run, folder.name, KEEP)


def test_old_ones_go_as_the_job_says(run: RunDir, tmp_path: Path) -> None:
    for step in (1, 2, 3):
        there = away(tmp_path, step)
        folder = checkpoints.folder_of(there.checkpoints, step)
        bring(run, there, folder)
        assert freight.settle_checkpoint(run, folder.name, KEEP)
    assert [e.step for e in checkpoints.entries(run.checkpoints)] == [2, 3]


def test_what_is_sent_no_more_goes_when_another_one_has_come(run: RunDir, tmp_path: Path) -> None:
    for step, age_s in ((1, 10), (2, 100)):
        there = away(tmp_path, step)
        name, *_ = freight.of_checkpoint(there, checkpoints.folder_of(there.checkpoints, step))
        freight.take(run, name, 0, b"some of it")
        (part,) = run.checkpoints.glob(f"*{step}/*")
        os.utime(part, (part.stat().st_atime, part.stat().st_mtime - age_s))
    there = away(tmp_path, 3)
    folder = checkpoints.folder_of(there.checkpoints, 3)
    bring(run, there, folder)
    assert freight.settle_checkpoint(run, folder.name, KEEP)
    assert [p.name[-1] for p in run.checkpoints.glob(f"{freight.INCOMING}*")] == ["1"]


def test_an_export_is_there_when_every_byte_is(run: RunDir, tmp_path: Path) -> None:
    file = tmp_path / "model"
    file.write_bytes(b"weights")
    sha256 = layout.digest(file)
    freight.take(run, contract.EXPORT_NAME, 0, b"of another run")
    assert not freight.settle_export(run, sha256)
    assert not run.export_file.exists()
    freight.take(run, contract.EXPORT_NAME, 0, b"weights")
    assert freight.settle_export(run, sha256)
    assert run.export_file.read_bytes() == b"weights"
