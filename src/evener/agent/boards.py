"""The event files that a script writes for TensorBoard, anywhere below the folder it runs in: found
by their names, and read as they grow. Those of earlier runs are left alone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from evener import contract
from evener.rundir import tfscalars
from evener.rundir.layout import RunDir
from evener.rundir.tfscalars import Scalars

log = logging.getLogger(__name__)

SEEK_S = 2.0  # between two looks for new files
DEEPEST, MOST_FOLDERS = 6, 500  # of a look: it is the user's folder, with whatever is in it
PIECE_BYTES = 2**18  # of one file and look: a file that was flushed late is not lost, only later
MOST_FILES = 64
_SIGN = ".tfevents."
PASSED = {contract.RUN_DIR_DEFAULT.name, "__pycache__", "node_modules", "venv", "site-packages"}


@dataclass(slots=True)
class Board:
    """One file. `at`: so far it is read, or passed over."""

    path: Path
    at: int = 0
    damaged: bool = False


@dataclass(slots=True)
class Boards:
    """All files of one start of a script."""

    folder: Path
    _known: dict[Path, Board] = field(default_factory=dict)
    _owners: dict[str, Path] = field(default_factory=dict)  # by tag, the folder that had it first
    _old: set[Path] = field(default_factory=set)  # that were there when it started
    _seek_at: float = 0.0

    def begin(self) -> None:
        """The script starts, perhaps anew, and makes files of its own."""
        self._old = {*_event_files(self.folder)}
        self._known.clear()
        self._owners.clear()

    @property
    def folders(self) -> list[Path]:
        return sorted({path.parent for path in self._known})

    def look(self, now: float) -> list[Scalars]:
        """What is new, in the order of steps."""
        if now >= self._seek_at:
            self._seek_at = now + SEEK_S
            self._seek()
        return self._new()

    def _seek(self) -> None:
        for path in _event_files(self.folder):
            if path not in self._old and len(self._known) < MOST_FILES:
                self._known.setdefault(path, Board(path))

    def last(self) -> list[Scalars]:
        """What is left to read when nobody writes any more."""
        self._seek()
        found: list[Scalars] = []
        before = -1
        while before != (before := sum(board.at for board in self._known.values())):
            found += self._new()
        return found

    def _new(self) -> list[Scalars]:
        """Writers put each number by itself: those of one step become one."""
        found: dict[int, Scalars] = {}
        for board in self._known.values():
            for told in _read(board):
                named = {self._name(t, board.path.parent): v for t, v in told.values.items()}
                known = found.setdefault(told.step, Scalars(told.step, told.time, {}))
                known.values.update(named)
        return [found[step] for step in sorted(found)]

    def _name(self, tag: str, folder: Path) -> str:
        """`add_scalars` gives each of its curves a folder, and all of them one name."""
        nested = folder.parent in {path.parent for path in self._known}
        own = not nested and self._owners.setdefault(tag, folder) == folder
        return tag if own else f"{tag}/{folder.name}"


def _read(board: Board) -> list[Scalars]:
    found: list[Scalars] = []
    with contextlib.suppress(OSError), board.path.open("rb") as file:
        if board.damaged:
            return found
        file.seek(board.at)
        try:
            found, read = tfscalars.read(file.read(PIECE_BYTES))
        except ValueError as error:
            log.warning("%s is not followed any more: %s", board.path, error)
            board.damaged, read = True, 0
        board.at += read
    return found


def _event_files(folder: Path) -> Iterator[Path]:
    """The nearest ones first; not of hidden folders, environments, or what is only linked to."""
    waiting, looked = deque([(folder, 0)]), 0
    while waiting and looked < MOST_FOLDERS:
        here, depth = waiting.popleft()
        looked += 1
        with contextlib.suppress(OSError), os.scandir(here) as entries:
            for entry in entries:
                if _SIGN in entry.name and entry.is_file(follow_symlinks=False):
                    yield Path(entry.path)
                elif depth < DEEPEST and _is_looked_into(entry):
                    waiting.append((Path(entry.path), depth + 1))


def _is_looked_into(entry: os.DirEntry[str]) -> bool:
    passed = entry.name.startswith(".") or entry.name in PASSED
    return not passed and entry.is_dir(follow_symlinks=False)


def told_of(folder: Path, run: RunDir) -> str:
    """Where they are, and what shows them; by the run's own folder where it is below that."""
    inside = folder.is_relative_to(run.path)
    place = f"{run.name}/{folder.relative_to(run.path).as_posix()}" if inside else str(folder)
    return (
        f"the script writes for TensorBoard; its numbers are curves here, and all of it is shown "
        f"by: tensorboard --logdir {shlex.quote(place)}"
    )
