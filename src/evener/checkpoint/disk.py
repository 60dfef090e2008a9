"""A state written as a checkpoint, whole or not at all, and read if every byte is as written.

A folder is filled under another name and renamed when all of it is on disk, so a crash at any
moment leaves either the whole checkpoint or none. What lies there, and what may go, is the matter
of `rundir.checkpoints`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor

from evener.checkpoint.snapshot import MODEL, OPTIMIZER, Snapshot
from evener.checkpoint.stream import pack
from evener.errors import CheckpointDamaged, DiskFull, NotPermitted
from evener.rundir import checkpoints
from evener.rundir.checkpoints import COMMIT, FORMAT, MANIFEST, Entry

_BLOCK_BYTES = 4 * 2**20
_NO_SPACE = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}  # Windows has no quota error
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}


def write(root: Path, snapshot: Snapshot, metric: float | None = None) -> Entry:
    """Put `snapshot` under `root`. On any failure nothing of it stays and older ones are whole."""
    final = checkpoints.folder_of(root, snapshot.step)
    partial = root / f"{checkpoints.PARTIAL}{uuid.uuid4().hex}"
    try:
        partial.mkdir(parents=True)
        _fill(partial, snapshot, metric)
        if final.exists():
            final.rename(root / f"{checkpoints.TRASH}{uuid.uuid4().hex}")
        partial.rename(final)
        _sync_folder(root)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise _translate(error, root) from error
    checkpoints.sweep(root)
    return checkpoints.entry(final)


def _fill(folder: Path, snapshot: Snapshot, metric: float | None) -> None:
    meta = json.dumps(snapshot.meta, indent=1).encode()
    parts: dict[str, Iterable[memoryview]] = {
        "model.safetensors": _blocks(snapshot.part(MODEL)),
        "optimizer.safetensors": _blocks(snapshot.part(OPTIMIZER)),
        "state.json": [memoryview(meta)],
    }
    manifest = {
        "format": FORMAT,
        "step": snapshot.step,
        "metric": metric,
        "torch": str(torch.__version__),
        "files": {name: _write_file(folder / name, blocks) for name, blocks in parts.items()},
    }
    text = json.dumps(manifest, indent=1).encode()
    _write_file(folder / MANIFEST, [memoryview(text)])
    _sync_folder(folder)
    mark = hashlib.sha256(text).hexdigest().encode()
    _write_file(folder / COMMIT, [memoryview(mark)])
    _sync_folder(folder)


def _blocks(tensors: dict[str, Tensor]) -> Iterator[memoryview]:
    return (block.numpy().data for block in pack(tensors, {"format": "pt"}).blocks(_BLOCK_BYTES))


def read(folder: Path) -> Snapshot:
    """The snapshot in `folder`, or CheckpointDamaged: one flipped bit is enough."""
    manifest = checkpoints.read_manifest(folder)
    files = manifest["files"].items()
    data = {name: checkpoints.read_file(folder, name, facts) for name, facts in files}
    try:
        tensors = {
            prefix + name: tensor
            for prefix, file in ((MODEL, "model.safetensors"), (OPTIMIZER, "optimizer.safetensors"))
            for name, tensor in load_safetensors(data[file]).items()
        }
        meta = json.loads(data["state.json"])
    except (KeyError, ValueError, SafetensorError) as error:
        raise checkpoints.damaged(folder, str(error)) from error
    return Snapshot(int(manifest["step"]), tensors, meta)


def newest(root: Path) -> tuple[Snapshot | None, list[Path]]:
    """The newest checkpoint that verifies, if any, and the damaged ones set aside on the way."""
    checkpoints.recover(root)
    aside: list[Path] = []
    for folder in reversed(checkpoints.folders(root)):
        try:
            return read(folder), aside
        except CheckpointDamaged:
            aside.append(checkpoints.set_aside(folder))
    return None, aside


def _write_file(path: Path, blocks: Iterable[memoryview]) -> dict[str, Any]:
    """Returns what the manifest says of it."""
    size, digest = 0, hashlib.sha256()
    with path.open("xb") as file:
        for block in blocks:
            digest.update(block)
            size += file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return {"size_bytes": size, "sha256": digest.hexdigest()}


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return  # elsewhere a folder cannot be opened; the rename itself is atomic
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _translate(error: OSError, root: Path) -> DiskFull | NotPermitted | OSError:
    if error.errno in _NO_SPACE:
        return DiskFull(
            "a checkpoint could not be written: no space left",
            where=str(root),
            fix="free space, or keep fewer with checkpoint.keep_last",
        )
    if error.errno in _NOT_ALLOWED:
        return NotPermitted(
            f"a checkpoint could not be written: {error.strerror}",
            where=str(root),
            fix="give this user the right to write there",
        )
    return error
