"""A checkpoint is whole or not there, and a flipped bit is never loaded."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from evener import checkpoint
from evener.checkpoint import Snapshot, disk
from evener.errors import CheckpointDamaged, DiskFull
from evener.rundir import checkpoints


def snapshot(step: int = 7) -> Snapshot:
    tensors = {
        "model.weight": torch.arange(6.0).reshape(2, 3),
        "model.seen": torch.tensor(3),
        "optimizer.weight.exp_avg": torch.ones(2, 3, dtype=torch.float64),
    }
    return Snapshot(step, tensors, {"step": step, "best": {"loss": 1.5}})


def assert_equal(a: Snapshot, b: Snapshot) -> None:
    assert (a.step, a.meta, set(a.tensors)) == (b.step, b.meta, set(b.tensors))
    for name, tensor in a.tensors.items():
        assert torch.equal(tensor, b.tensors[name])
        assert tensor.dtype == b.tensors[name].dtype


def test_what_is_written_is_read(tmp_path: Path) -> None:
    entry = checkpoint.write(tmp_path, snapshot(), metric=0.5)
    assert (entry.step, entry.metric) == (7, 0.5)
    assert_equal(checkpoint.read(entry.path), snapshot())


def test_it_travels_as_bytes() -> None:
    [data] = checkpoint.pack(snapshot()).blocks(2**20)
    assert_equal(checkpoint.unpack(data), snapshot())


@pytest.mark.parametrize(
    "name", ["model.safetensors", "optimizer.safetensors", "state.json", "MANIFEST.json", "COMMIT"]
)
@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_damage_is_seen_and_the_one_before_is_used(tmp_path: Path, name: str, damage: str) -> None:
    checkpoint.write(tmp_path, snapshot(5))
    newest = checkpoint.write(tmp_path, snapshot(9))
    file = newest.path / name
    data = bytearray(file.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
        file.write_bytes(bytes(data))
    elif damage == "truncate":
        file.write_bytes(bytes(data[:-1]))
    else:
        file.unlink()
    with pytest.raises(CheckpointDamaged):
        checkpoint.read(newest.path)
    assert newest_step(tmp_path) == (5, 1)


def newest_step(root: Path) -> tuple[int | None, int]:
    """With how many were set aside on the way to it."""
    found, aside = checkpoint.newest(root)
    return found.step if found else None, len(aside)


def test_a_damaged_one_is_set_aside_not_deleted(tmp_path: Path) -> None:
    entry = checkpoint.write(tmp_path, snapshot())
    (entry.path / "model.safetensors").write_bytes(b"nonsense")
    assert newest_step(tmp_path) == (None, 1)
    assert not entry.path.exists()
    assert [p.name.startswith(".damaged-") for p in tmp_path.iterdir()] == [True]
    assert checkpoints.aside(tmp_path) == [*tmp_path.iterdir()]


@pytest.mark.parametrize("point", range(5))
def test_a_crash_at_any_file_leaves_the_older_one(
    tmp_path: Path, point: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.write(tmp_path, snapshot(5))
    written = 0
    real = disk._write_file

    def crash_at(path: Path, blocks: Iterable[memoryview]) -> dict[str, Any]:
        nonlocal written
        if written == point:
            data = b"".join(blocks)
            path.write_bytes(data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written += 1
        return real(path, blocks)

    monkeypatch.setattr(disk, "_write_file", crash_at)
    with pytest.raises(DiskFull):
        checkpoint.write(tmp_path, snapshot(9))
    monkeypatch.undo()
    assert [e.step for e in checkpoints.entries(tmp_path)] == [5]
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000005"]
    found, _ = checkpoint.newest(tmp_path)
    assert found is not None
    assert_equal(found, snapshot(5))


def test_writing_a_step_again_replaces_it(tmp_path: Path) -> None:
    checkpoint.write(tmp_path, snapshot())
    changed = snapshot()
    changed.meta["best"] = {"loss": 1.0}
    entry = checkpoint.write(tmp_path, changed)
    assert_equal(checkpoint.read(entry.path), changed)
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000007"]


def test_leftovers_of_a_crash_are_swept(tmp_path: Path) -> None:
    (tmp_path / ".partial-x").mkdir()
    (tmp_path / ".trash-y").mkdir()
    checkpoint.write(tmp_path, snapshot())
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000007"]
