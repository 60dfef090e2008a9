"""Files that several of a script's processes on one machine write at once: told of, once each.

A torn file shows much later than it was made, and seldom with its cause. Only Linux tells what a
process holds open, and only what stays so for a while is seen. Who appends harms nobody, and what
libraries share in hidden folders is theirs.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from evener.agent.team import Driven
from evener.events import Alert, Event
from evener.probe.limits import PROC

LOOK_S = 2.0
MOST_TOLD = 3
_FLAGS = re.compile(r"^flags:\s*([0-7]+)$", re.MULTILINE)
_LOCKS = (".lock", ".lck")
_ACCESS = os.O_RDONLY | os.O_WRONLY | os.O_RDWR
_SYSTEMS_OWN = ("/dev/", "/proc/", "/sys/")


class Writers:
    """Of one agent, whose script runs in `folder` and may write elsewhere as well."""

    def __init__(self, folder: Path, emit: Callable[[Event], None], proc: Path = PROC) -> None:
        self._folder, self._emit, self._proc = folder, emit, proc
        self._look_at = 0.0
        self._told: set[Path] = set()

    def look(self, team: Sequence[Driven], now: float) -> None:
        if now < self._look_at or len(self._told) >= MOST_TOLD:
            return
        self._look_at = now + LOOK_S
        ranks: dict[Path, list[int]] = {}
        for driven in team:
            for path in self._written(driven.child.pid) if driven.child is not None else ():
                ranks.setdefault(path, []).append(driven.plan.rank)
        for path, those in ranks.items():
            if len(those) > 1 and path not in self._told:
                self._told.add(path)
                self._emit(Alert("warning", _text(path, those)))

    def _written(self, pid: int) -> set[Path]:
        """Plain files that this process holds open to write at a place of its own choosing."""
        found = set[Path]()
        with contextlib.suppress(OSError):
            for entry in (self._proc / str(pid) / "fd").iterdir():
                found.update(self._of_entry(pid, entry))
        return found

    def _of_entry(self, pid: int, entry: Path) -> Iterator[Path]:
        with contextlib.suppress(OSError):
            path = entry.readlink()
            if path.suffix in _LOCKS or self._is_hidden(path):
                return
            match = _FLAGS.search((self._proc / str(pid) / "fdinfo" / entry.name).read_text())
            flags = int(match[1], 8) if match else os.O_RDONLY
            if flags & _ACCESS != os.O_RDONLY and not flags & os.O_APPEND and path.is_file():
                yield path

    def _is_hidden(self, path: Path) -> bool:
        below = path.is_relative_to(self._folder)
        parts = path.relative_to(self._folder).parts if below else path.parts
        return str(path).startswith(_SYSTEMS_OWN) or any(part.startswith(".") for part in parts)


def _text(path: Path, ranks: Sequence[int]) -> str:
    who = ", ".join(map(str, ranks))
    return (
        f"ranks {who} write {path} at once, each over the other: let one of them write it "
        "(RANK 0), or name it after the rank"
    )
