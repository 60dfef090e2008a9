"""What every rank says it computed: logs/ledger_rank_N.txt, one line for each step it committed.

    1763780000.123456 3.a01 57 4 0 24 8/8/8 1 0.6931471805599453 .
    time, ballot, step, epoch, first and last position in it, every rank's samples, its own place
    among them, and the loss; the dot says that the line is whole

`-` begins a process's words, and `< TIME STEP` says that it took the state of a step from a
checkpoint. Each line names the whole cut, not only its writer's part, so what a rank that died can
say no more the others say of it. `evener.audit` holds them against each other and the record.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from evener import errors
from evener.membership.generation import Ballot

BEGIN, RESTORED, WHOLE = "-", "<", "."
UNWRITTEN = "cannot be written"  # in the alert of a ledger that ends before its rank
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class Line:
    """One step, as one rank committed it."""

    time: float
    ballot: Ballot
    step: int
    epoch: int
    start: int
    stop: int
    shares: tuple[int, ...]
    place: int
    loss: float

    @property
    def samples(self) -> tuple[int, int, int]:
        """Which ones: the positions of an epoch."""
        return self.epoch, self.start, self.stop


@dataclass(frozen=True, slots=True)
class Restored:
    """From a checkpoint of this step, at this time."""

    time: float
    step: int


@dataclass(slots=True)
class Life:
    """What one process committed on end. What it restored, if it did, is where that began."""

    restored: Restored | None = None
    lines: list[Line] = field(default_factory=list)


class Ledger:
    """One process's hand on its file. A disk that does not take it ends the ledger, not training:
    then `tell` is told why."""

    def __init__(self, path: Path, tell: Callable[[str], None]) -> None:
        self._path, self._tell = path, tell
        self._fd = -1
        self._open = True

    def write(self, line: Line) -> None:
        """What the system has taken survives the end of this process."""
        shares = "/".join(map(str, line.shares))
        self._write(
            f"{line.time:.6f} {line.ballot} {line.step} {line.epoch} {line.start} {line.stop} "
            f"{shares} {line.place} {line.loss!r} {WHOLE}\n"
        )

    def restored(self, time: float, step: int) -> None:
        self._write(f"{RESTORED} {time:.6f} {step} {WHOLE}\n")

    def close(self) -> None:
        self._open = False
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self._fd)
            self._fd = -1

    def _write(self, text: str) -> None:
        if not self._open:
            return
        try:
            if self._fd < 0:
                self._fd = os.open(self._path, _APPEND, 0o666)
                text = f"\n{BEGIN}\n{text}"  # the process before may have died in a line
            data = text.encode()
            if os.write(self._fd, data) == len(data):
                return
            why = "no space is left"
        except OSError as error:
            why = str(error.strerror)
        self._tell(f"{self._path.name} {UNWRITTEN} ({why}) and ends here")
        self.close()


def read(path: Path) -> list[Life]:
    """In order. Lines that are not whole are passed over: their writers died in them."""
    return parse(path.read_text(encoding="utf-8", errors="replace"), path)


def parse(text: str, path: Path) -> list[Life]:
    lives: list[Life] = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if words == [BEGIN]:
            lives.append(Life())
        elif words and words[-1] == WHOLE:
            entry = _entry(words[:-1], f"{path}:{number}")
            if isinstance(entry, Restored):
                lives.append(Life(entry))
            else:
                lives = lives or [Life()]
                lives[-1].lines.append(entry)
    return [life for life in lives if life.lines or life.restored]


def _entry(words: list[str], where: str) -> Line | Restored:
    try:
        if words[0] == RESTORED:
            _, time, step = words
            return Restored(float(time), int(step))
        time, ballot, step, epoch, start, stop, shares, place, loss = words
        count, _, agent = ballot.partition(".")
        return Line(
            float(time), Ballot(int(count), agent), int(step), int(epoch), int(start), int(stop),
            tuple(int(share) for share in shares.split("/")), int(place), float(loss),
        )  # fmt: skip
    except ValueError as error:
        raise errors.StoreDamaged(
            f"a ledger has a line that no rank writes: {' '.join(words)[:60]!r}",
            where=where,
            fix="restore the file, or remove it: training does not need it",
        ) from error
