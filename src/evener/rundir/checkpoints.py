"""The checkpoints of a run: which there are, whether they are what was written, which may go.

    checkpoints/step-00001200/model.safetensors      the weights, under the model's own names
                              optimizer.safetensors  one tensor per parameter and slot
                              state.json             step, cursor, counters: all that is no tensor
                              MANIFEST.json          size and sha256 of the files above
                              COMMIT                 sha256 of the manifest

A folder whose hashes do not match is set aside under another name, and never loaded. What the
files mean is not known here, and needs torch: `checkpoint` writes and reads them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evener.errors import CheckpointDamaged, NoCheckpoint
from evener.rundir import layout

if TYPE_CHECKING:
    from evener.config import schema

FORMAT = 1
MANIFEST, COMMIT = "MANIFEST.json", "COMMIT"
PARTIAL, TRASH, DAMAGED = ".partial-", ".trash-", ".damaged-"
RISING = ("accuracy", "top5")  # metrics whose higher values are the better ones


@dataclass(frozen=True, slots=True)
class Entry:
    """A committed checkpoint, as its manifest says."""

    step: int
    path: Path
    size_bytes: int
    metric: float | None


def folder_of(root: Path, step: int) -> Path:
    return root / f"step-{step:08d}"


def folders(root: Path) -> list[Path]:
    """What looks like a checkpoint, oldest first."""
    return sorted(root.glob("step-*"), key=lambda f: (len(f.name), f.name))


def entries(root: Path) -> list[Entry]:
    """The committed checkpoints, oldest first. Contents are verified on reading, not here."""
    found = []
    for folder in folders(root):
        try:
            found.append(entry(folder))
        except CheckpointDamaged:
            continue
    return found


def entry(folder: Path) -> Entry:
    manifest = read_manifest(folder)
    size = sum(int(facts["size_bytes"]) for facts in manifest["files"].values())
    return Entry(int(manifest["step"]), folder, size, manifest.get("metric"))


def read_manifest(folder: Path) -> dict[str, Any]:
    """What was committed, or CheckpointDamaged."""
    try:
        text = (folder / MANIFEST).read_bytes()
        marker = (folder / COMMIT).read_text()
        manifest = json.loads(text)
    except (OSError, ValueError) as error:
        raise damaged(folder, f"no readable manifest and commit marker ({error})") from error
    if hashlib.sha256(text).hexdigest() != marker.strip():
        raise damaged(folder, "the manifest is not the one that was committed")
    if manifest.get("format") != FORMAT:
        raise damaged(folder, f"written in format {manifest.get('format')}, this is {FORMAT}")
    return dict(manifest)


def read_file(folder: Path, name: str, facts: dict[str, Any]) -> bytes:
    """The bytes of one of its files, if they are those that were written."""
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise damaged(folder, f"{name}: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != facts["sha256"]:
        raise damaged(folder, f"{name} has other bytes than were written")
    return data


def verify(folder: Path) -> Entry:
    """Raises CheckpointDamaged where any byte is another. Keeps none of them in memory."""
    for name, facts in read_manifest(folder)["files"].items():
        try:
            found = layout.digest(folder / name)
        except OSError as error:
            raise damaged(folder, f"{name}: {error.strerror}") from error
        if found != facts["sha256"]:
            raise damaged(folder, f"{name} has other bytes than were written")
    return entry(folder)


def damaged(folder: Path, why: str) -> CheckpointDamaged:
    return CheckpointDamaged(
        f"the checkpoint {folder.name} is damaged: {why}",
        where=str(folder),
        fix="use another one of the run, named with --checkpoint STEP",
    )


def set_aside(folder: Path) -> Path:
    """Under another name, so that nobody takes it for a checkpoint; nothing of it is deleted."""
    aside = folder.with_name(f"{DAMAGED}{folder.name}-{uuid.uuid4().hex[:8]}")
    return folder.rename(aside)


def aside(root: Path) -> list[Path]:
    """What was set aside."""
    return sorted(root.glob(f"{DAMAGED}*"))


def choose(root: Path, wanted: str | int, metric: str) -> Entry:
    """`last`, `best` or a step number."""
    found = entries(root)
    if wanted == "last":
        chosen = found[-1:]
    elif wanted == "best":
        chosen = ranked(found, metric)[:1] or found[-1:]
    else:
        chosen = [e for e in found if str(e.step) == str(wanted)]
    if not chosen:
        steps = ", ".join(str(e.step) for e in found) or "none"
        raise NoCheckpoint(
            f"there is no checkpoint {wanted!r}",
            where=str(root),
            fix=f"name one of these steps: {steps}" if found else "train past its first one",
        )
    return chosen[0]


# ------------------------------------------------------------------------------ retention


def ranked(found: Iterable[Entry], metric: str) -> list[Entry]:
    """Those with a metric, best first."""
    sign = -1.0 if metric in RISING else 1.0
    return sorted((e for e in found if e.metric is not None), key=lambda e: sign * (e.metric or 0))


def to_keep(found: Sequence[Entry], config: schema.Checkpoint) -> set[int]:
    """The steps that stay: the newest, and the best by metric."""
    newest = [e.step for e in found[-config.keep_last :]]
    best = [e.step for e in ranked(found, config.metric)][: config.keep_best]
    return {*newest, *best}


def prune(root: Path, keep: Iterable[int]) -> list[Entry]:
    """Drop all checkpoints but those of the steps in `keep`; returns what went."""
    kept = set(keep)
    gone = [entry for entry in entries(root) if entry.step not in kept]
    for each in gone:
        drop(each.path)
    return gone


def drop(folder: Path) -> None:
    """Rename first: a half-deleted folder must not look like a checkpoint."""
    trash = folder.with_name(f"{TRASH}{uuid.uuid4().hex}")
    folder.rename(trash)
    shutil.rmtree(trash, ignore_errors=True)


def recover(root: Path) -> None:
    """Where one was written again, a crash may have come when the old one was out of the way and
    the new one, all of it there, not yet in its place."""
    for partial in root.glob(f"{PARTIAL}*"):
        with contextlib.suppress(CheckpointDamaged, OSError):
            final = folder_of(root, entry(partial).step)
            if not final.exists():
                partial.rename(final)


def sweep(root: Path) -> None:
    """Remove what an earlier crash left half-written or half-deleted."""
    for leftover in [*root.glob(f"{PARTIAL}*"), *root.glob(f"{TRASH}*")]:
        shutil.rmtree(leftover, ignore_errors=True)
