"""Which run is meant: a name, a folder, or the one that was started last."""

from __future__ import annotations

import re
from pathlib import Path

from evener import contract
from evener.cli import console
from evener.errors import BadCommand, RunNotFound
from evener.rundir import layout
from evener.rundir.layout import RunDir


def root_of(folder: Path | None) -> Path:
    return folder if folder is not None else contract.RUN_DIR_DEFAULT


def resolve(name: str | None, folder: Path | None) -> RunDir:
    """The run of that name or folder. Without a name: the latest, and a note that says which."""
    root = root_of(folder)
    if name is None:
        run = latest(root)
        console.note(f"the run started last: {run.name}")
        return run
    return layout.find(root, name)


def latest(root: Path) -> RunDir:
    """A start and a resume write the job file: whose is newest, was started last."""
    found = layout.runs(root)
    if not found:
        raise RunNotFound(
            f"there is no run under {root}",
            fix="start one with `evener run`, or say with --dir where runs live",
        )
    return max(found, key=lambda run: run.job_file.stat().st_mtime_ns)


def checkpoint(text: str) -> str | int:
    """`best`, `last` or a step."""
    if text in ("best", "last"):
        return text
    if re.fullmatch(r"[0-9]+", text):
        return int(text)
    raise BadCommand(
        f"{text!r} is no checkpoint", where="--checkpoint", fix="best, last, or a step's number"
    )
