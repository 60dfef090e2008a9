"""Checkpoints on disk: a folder per step, a manifest with hashes, a commit marker written last.

    checkpoints/step-00001200/model.safetensors      the weights, under the model's own names
                              optimizer.safetensors  one tensor per parameter and slot
                              state.json             step, cursor, counters: all that is no tensor
                              MANIFEST.json          size and sha256 of the files above
                              COMMIT                 sha256 of the manifest

A folder is filled under another name and renamed when all of it is on disk, so a crash at any
moment leaves either the whole checkpoint or none. A folder whose hashes do not match is set
aside, never loaded.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors

from evener.checkpoint.snapshot import MODEL, OPTIMIZER, Snapshot
from evener.errors import CheckpointDamaged, DiskFull, NotPermitted

FORMAT = 1
_PARTIAL, _TRASH, _DAMAGED = ".partial-", ".trash-", ".damaged-"
_NO_SPACE = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}  # Windows has no quota error
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}


@dataclass(frozen=True, slots=True)
class Entry:
    """A committed checkpoint, as its manifest says."""

    step: int
    path: Path
    size_bytes: int
    metric: float | None


def write(root: Path, snapshot: Snapshot, metric: float | None = None) -> Entry:
    """Put `snapshot` under `root`. On any failure nothing of it stays and older ones are whole."""
    final = root / f"step-{snapshot.step:08d}"
    partial = root / f"{_PARTIAL}{uuid.uuid4().hex}"
    try:
        partial.mkdir(parents=True)
        _fill(partial, snapshot, metric)
        if final.exists():
            final.rename(root / f"{_TRASH}{uuid.uuid4().hex}")
        partial.rename(final)
        _sync_folder(root)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise _translate(error, root) from error
    sweep(root)
    return _entry(final)


def _fill(folder: Path, snapshot: Snapshot, metric: float | None) -> None:
    parts: dict[str, bytes] = {
        "model.safetensors": save_safetensors(snapshot.part(MODEL), {"format": "pt"}),
        "optimizer.safetensors": save_safetensors(snapshot.part(OPTIMIZER), {"format": "pt"}),
        "state.json": json.dumps(snapshot.meta, indent=1).encode(),
    }
    manifest = {
        "format": FORMAT,
        "step": snapshot.step,
        "metric": metric,
        "torch": str(torch.__version__),
        "files": {
            name: {"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in parts.items()
        },
    }
    for name, data in parts.items():
        _write_file(folder / name, data)
    text = json.dumps(manifest, indent=1).encode()
    _write_file(folder / "MANIFEST.json", text)
    _sync_folder(folder)
    _write_file(folder / "COMMIT", hashlib.sha256(text).hexdigest().encode())
    _sync_folder(folder)


def entries(root: Path) -> list[Entry]:
    """The committed checkpoints, oldest first. Contents are verified on reading, not here."""
    found = []
    for folder in sorted(root.glob("step-*")):
        try:
            found.append(_entry(folder))
        except CheckpointDamaged:
            continue
    return sorted(found, key=lambda e: e.step)


def read(folder: Path) -> Snapshot:
    """The snapshot in `folder`, or CheckpointDamaged: one flipped bit is enough."""
    manifest = _manifest(folder)
    data = {name: _verified(folder, name, facts) for name, facts in manifest["files"].items()}
    try:
        tensors = {
            prefix + name: tensor
            for prefix, file in ((MODEL, "model.safetensors"), (OPTIMIZER, "optimizer.safetensors"))
            for name, tensor in load_safetensors(data[file]).items()
        }
        meta = json.loads(data["state.json"])
    except (KeyError, ValueError, SafetensorError) as error:
        raise _damaged(folder, str(error)) from error
    return Snapshot(int(manifest["step"]), tensors, meta)


def newest(root: Path) -> tuple[Snapshot, list[Path]] | None:
    """The newest checkpoint that verifies, and the damaged ones set aside on the way to it."""
    set_aside: list[Path] = []
    for entry in reversed(entries(root)):
        try:
            return read(entry.path), set_aside
        except CheckpointDamaged:
            aside = entry.path.with_name(f"{_DAMAGED}{entry.path.name}-{uuid.uuid4().hex[:8]}")
            entry.path.rename(aside)
            set_aside.append(aside)
    return None


def prune(root: Path, keep: Iterable[int]) -> list[Entry]:
    """Drop all checkpoints but those of the steps in `keep`; returns what went."""
    kept = set(keep)
    gone = [entry for entry in entries(root) if entry.step not in kept]
    for entry in gone:
        drop(entry)
    return gone


def drop(entry: Entry) -> None:
    """Rename first: a half-deleted folder must not look like a checkpoint."""
    trash = entry.path.with_name(f"{_TRASH}{uuid.uuid4().hex}")
    entry.path.rename(trash)
    shutil.rmtree(trash, ignore_errors=True)


def sweep(root: Path) -> None:
    """Remove what an earlier crash left half-written or half-deleted."""
    for leftover in [*root.glob(f"{_PARTIAL}*"), *root.glob(f"{_TRASH}*")]:
        shutil.rmtree(leftover, ignore_errors=True)


def _entry(folder: Path) -> Entry:
    manifest = _manifest(folder)
    size = sum(int(facts["size_bytes"]) for facts in manifest["files"].values())
    return Entry(int(manifest["step"]), folder, size, manifest.get("metric"))


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        text = (folder / "MANIFEST.json").read_bytes()
        marker = (folder / "COMMIT").read_text()
        manifest = json.loads(text)
    except (OSError, ValueError) as error:
        raise _damaged(folder, f"no readable manifest and commit marker ({error})") from error
    if hashlib.sha256(text).hexdigest() != marker.strip():
        raise _damaged(folder, "the manifest is not the one that was committed")
    if manifest.get("format") != FORMAT:
        raise _damaged(folder, f"written in format {manifest.get('format')}, this is {FORMAT}")
    return dict(manifest)


def _verified(folder: Path, name: str, facts: dict[str, Any]) -> bytes:
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise _damaged(folder, f"{name}: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != facts["sha256"]:
        raise _damaged(folder, f"{name} has other bytes than were written")
    return data


def _damaged(folder: Path, why: str) -> CheckpointDamaged:
    return CheckpointDamaged(
        f"the checkpoint {folder.name} is damaged: {why}",
        where=str(folder),
        fix="use another one of the run, named with --checkpoint STEP",
    )


def _write_file(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


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
