"""What a script leaves in the folder it runs in, where machines have disks of their own.

At home, on the head's machine, is the newest of each file, whoever wrote it. A file arrives beside
and takes its place when all of it is there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from evener import contract
from evener.rundir import layout
from evener.rundir.layout import RunDir

Mark = tuple[int, int]  # size, and when it was written (ns)
_INCOMING = ".incoming"
_AT_HOME = re.compile(rf"{contract.WORK}/(?P<path>[^\0\\]+)")
_BROUGHT = re.compile(rf"{contract.WORK}@(?P<agent>[\w.-]+)/(?P<path>[^\0\\]+)")


def name_at_home(path: str) -> str:
    """By which the file is fetched."""
    return f"{contract.WORK}/{path}"


def name_from(agent: str, path: str) -> str:
    """By which `agent` brings it: two that bring the same file do not mix."""
    return f"{contract.WORK}@{agent}/{path}"


def listing(run: RunDir) -> dict[str, list[int]]:
    """Size and time of writing (ns) of every file, by its path in the folder."""
    found = {}
    for file in sorted(run.work.rglob("*")) if run.work.is_dir() else ():
        if file.is_file() and not file.is_symlink():
            found[file.relative_to(run.work).as_posix()] = list(mark(file))
    return found


def to_send(run: RunDir, name: str) -> Path | None:
    known = _AT_HOME.fullmatch(name)
    return run.work / known["path"] if known and is_below(known["path"]) else None


def takes(name: str) -> bool:
    known = _BROUGHT.fullmatch(name)
    return known is not None and is_below(known["path"])


def landing(run: RunDir, name: str) -> Path:
    known = _BROUGHT.fullmatch(name)
    assert known is not None
    return run.path / f"{_INCOMING}-{known['agent']}" / known["path"]


@dataclass(frozen=True, slots=True)
class Settled:
    """How a file is known at home now, and how the one was that it has replaced."""

    now: Mark
    before: Mark | None


def settle(run: RunDir, name: str, sha256: str) -> Settled | None:
    """All of the file was sent: put it in its place. None: it is to be sent once more."""
    known, landed = _BROUGHT.fullmatch(name), landing(run, name)
    assert known is not None
    target = run.work / known["path"]
    with layout.translated(landed):
        if not landed.is_file() or layout.digest(landed) != sha256:
            landed.unlink(missing_ok=True)
            return None
        before = mark(target) if target.is_file() else None
        target.parent.mkdir(parents=True, exist_ok=True)
        if before is not None and layout.digest(target) == sha256:
            landed.unlink()
            return Settled(before, None)
        landed.replace(target)
    return Settled(mark(target), before)


def mark(file: Path) -> Mark:
    known = file.stat()
    return known.st_size, known.st_mtime_ns


def is_below(path: str) -> bool:
    """Whether the folder's own files may be called so."""
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts


def is_near(path: str) -> bool:
    """Whether a script may look there for what it reads: below its folder, or beside it."""
    parts = PurePosixPath(path).parts
    beside = parts[:1] == ("..",) and len(parts) > 1
    return is_below("/".join(parts[1:] if beside else parts))


def link(run: RunDir, links: Mapping[str, str]) -> None:
    """To what it reads, where it looks for that; what is there already stays."""
    for name, path in links.items():
        target = Path(os.path.normpath(run.work / name))
        with layout.translated(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists() and not target.is_symlink():
                target.symlink_to(path)
