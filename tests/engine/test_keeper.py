"""Checkpoints while a disk fails, refuses or is slow: training goes on, the older ones stay."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from evener.checkpoint import Snapshot, disk
from evener.config import schema
from evener.engine.keeper import Keeper
from evener.events import Alert, CheckpointWritten, Event
from evener.rundir import checkpoints
from evener.rundir.layout import RunDir

PATIENCE_S = 60.0


def snapshot(step: int) -> Snapshot:
    return Snapshot(step, {"model.weight": torch.full((9,), float(step))}, {})


@pytest.fixture
def told() -> list[Event]:
    return []


@pytest.fixture
def keeper(tmp_path: Path, told: list[Event]) -> Keeper:
    run = RunDir(tmp_path / "run")
    run.create()
    return Keeper(run, schema.Checkpoint(), told.append)


@pytest.mark.parametrize(
    ("number", "says"),
    [(errno.EIO, "Input/output error"), (errno.EROFS, "Read-only file system")],
)
def test_a_disk_that_fails_or_refuses_is_warned_of_and_tried_again(
    keeper: Keeper, told: list[Event], monkeypatch: pytest.MonkeyPatch, number: int, says: str
) -> None:
    keeper.save(snapshot(3), None, False)
    keeper.wait()

    def refuse(path: Path, blocks: Iterable[memoryview]) -> dict[str, Any]:
        raise OSError(number, os.strerror(number), str(path))

    with monkeypatch.context() as bad:
        bad.setattr(disk, "_write_file", refuse)
        keeper.save(snapshot(6), None, False)
        keeper.wait()
    assert [e.step for e in checkpoints.entries(keeper.run.checkpoints)] == [3]
    assert keeper.newest_step == 3
    (warning,) = [e for e in told if isinstance(e, Alert)]
    assert says in warning.text
    assert warning.text.endswith("training goes on with the older ones")
    keeper.save(snapshot(9), None, False)
    keeper.wait()
    assert [e.step for e in told if isinstance(e, CheckpointWritten)] == [3, 9]


def test_a_slow_disk_is_not_waited_for(
    keeper: Keeper, told: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, slow, reached = disk._write_file, threading.Event(), threading.Event()

    def write_slowly(path: Path, blocks: Iterable[memoryview]) -> dict[str, Any]:
        reached.set()
        assert slow.wait(PATIENCE_S)
        return real(path, blocks)

    monkeypatch.setattr(disk, "_write_file", write_slowly)
    keeper.save(snapshot(3), None, False)
    assert reached.wait(PATIENCE_S)
    assert told == []  # and whoever saved is here already
    assert keeper.newest_step == 3
    slow.set()
    keeper.wait()
    assert [e.step for e in told if isinstance(e, CheckpointWritten)] == [3]
