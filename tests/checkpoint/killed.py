"""Writes checkpoints and is killed meanwhile: `python -m tests.checkpoint.killed FOLDER POINTS`.

A child writes, and dies by SIGKILL at one of its calls into the system and the libraries; so does
the next one, a few calls later, until every part of the writing has been died in. What each of
them left behind is printed as a line of JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from evener import checkpoint
from evener.checkpoint import Snapshot, disk

STEP, VALUES = 9, 1000  # numbers in a tensor: many blocks, if blocks are small


def snapshot(value: float, step: int = STEP) -> Snapshot:
    tensors = {
        "model.weight": torch.full((VALUES,), value),
        "optimizer.weight.exp_avg": torch.full((VALUES,), value, dtype=torch.float64),
    }
    return Snapshot(step, tensors, {"value": value})


def in_a_child(work: Callable[[], None], dies_at: int) -> int:
    """Its calls, if it lived to the end; -1 if it did not."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        calls = 0

        def count(frame: Any, event: str, argument: Any) -> None:
            nonlocal calls
            if event == "c_call":
                calls += 1
                if calls == dies_at:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.setprofile(count)
        work()
        sys.setprofile(None)
        os.write(write, str(calls).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as told:
        text = told.read()
    os.waitpid(pid, 0)
    return int(text) if text else -1


def found(root: Path) -> dict[str, Any]:
    """What a run that is resumed finds there."""
    newest, damaged = checkpoint.newest(root)
    if newest is None:
        return {"value": None, "damaged": len(damaged)}
    value = newest.meta["value"]
    whole = all(torch.all(t == value) for t in newest.tensors.values())
    return {"value": value if whole else None, "step": newest.step, "damaged": len(damaged)}


def main(folder: Path, points: int) -> None:
    torch.set_num_threads(1)
    disk._BLOCK_BYTES = 256
    for older in (STEP - 4, STEP):  # a new one, and one that is there already and the only one
        root = folder / f"over-{older}"

        def begin(root: Path = root, older: int = older) -> None:
            shutil.rmtree(root, ignore_errors=True)
            checkpoint.write(root, snapshot(1.0, older))

        def work(root: Path = root) -> None:
            checkpoint.write(root, snapshot(2.0))

        begin()
        calls = in_a_child(work, dies_at=0)
        for point in range(points):
            begin()
            lived = in_a_child(work, dies_at=1 + point * calls // points)
            left = found(root)
            checkpoint.write(root, snapshot(3.0, STEP + 1))
            names = sorted(path.name for path in root.iterdir())
            told = {"older": older, "point": point, "lived": lived >= 0, **left, "names": names}
            sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
