"""The power goes at any moment of a checkpoint's writing: what was not synced is lost, or is not.

A disk is modelled that keeps of a file what it had when it was last synced, and of a folder the
names that it had then; or, as disks may, the newest names over such old contents.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from evener import checkpoint
from evener.checkpoint import Snapshot

OLD, NEW = 1.0, 2.0
STEP = 5


def snapshot(step: int, value: float) -> Snapshot:
    return Snapshot(step, {"model.weight": torch.full((300,), value)}, {"value": value})


class Disk:
    """What of `root` would be there after a power cut, as of each sync."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._contents: dict[int, bytes] = {}  # by inode, of files
        self._names: dict[int, dict[str, int]] = {}  # and of folders
        self.cuts: list[dict[str, bytes]] = []

    def sync(self, fd: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{fd}"))  # noqa: PTH115
        inode = os.fstat(fd).st_ino
        self.cut()
        if path.is_dir():
            self._names[inode] = {each.name: each.stat().st_ino for each in path.iterdir()}
        else:
            self._contents[inode] = path.read_bytes()
        self.cut()

    def cut(self) -> None:
        self.cuts += [dict(self._synced(self._root.stat().st_ino, "")), dict(self._newest_names())]

    def _synced(self, folder: int, at: str) -> Iterator[tuple[str, bytes]]:
        for name, inode in self._names.get(folder, {}).items():
            if inode in self._names:
                yield from self._synced(inode, f"{at}{name}/")
            else:
                yield f"{at}{name}", self._contents.get(inode, b"")

    def _newest_names(self) -> Iterator[tuple[str, bytes]]:
        for path in self._root.rglob("*"):
            if path.is_file():
                name = path.relative_to(self._root).as_posix()
                yield name, self._contents.get(path.stat().st_ino, b"")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks which file a number is")
@pytest.mark.parametrize("step", [STEP, STEP + 4])  # in the place of the old one, and beside it
def test_the_power_may_go_at_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    root = tmp_path / "checkpoints"
    root.mkdir()
    disk = Disk(root)
    monkeypatch.setattr(os, "fsync", disk.sync)
    checkpoint.write(root, snapshot(STEP, OLD))
    written = len(disk.cuts)
    checkpoint.write(root, snapshot(step, NEW))
    disk.cut()
    monkeypatch.undo()

    found = [newest(files, tmp_path / f"after-{i}") for i, files in enumerate(disk.cuts[written:])]
    assert {*found} == {OLD, NEW}
    assert found[-2:] == [NEW, NEW]  # what was told to be written is


def newest(files: dict[str, bytes], root: Path) -> float:
    """What a run that is resumed begins with."""
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    snapshot, _ = checkpoint.newest(root)
    assert snapshot is not None
    value: float = snapshot.meta["value"]
    assert torch.all(snapshot.tensors["model.weight"] == value)
    return value
