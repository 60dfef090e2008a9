"""tensorboard/: the run's numbers and texts as event files, which TensorBoard shows as they grow.

A file begins with what it takes back: all that may have been written and is not in our own note
of how far we came, `.written.json`. So a head may die at any moment, and the next one goes on in
a file of its own; and so steps that are done again, after a fall back to a checkpoint, are shown
as they were told last.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from evener import errors
from evener.events import Record, StepCommitted, TextSampled, Validated
from evener.rundir import layout, tables, tfevents
from evener.rundir.history import SAMPLES
from evener.rundir.layout import RunDir
from evener.rundir.store import Store

VERSION = 1
_KINDS = (StepCommitted.__name__, Validated.__name__, TextSampled.__name__)
_FILES, _NOTE = "events.out.tfevents", ".written.json"

Told = StepCommitted | Validated | TextSampled


@dataclass(frozen=True, slots=True)
class Written:
    """How far the record is in the files."""

    seq: int = 0  # of a record
    step: int = -1  # the last one committed
    latest: int = -1  # of all that is shown: a validation may be ahead of a recorded step


def wanted(run: RunDir) -> bool:
    """Whether the run's job asks for the files. A job that cannot be read is for others to say."""
    try:
        log = layout.read_json(run.job_file).get("log", {})
    except errors.StoreDamaged:
        return False
    return bool(log.get("tensorboard", False))


class TensorBoard:
    """Follows a store and writes what is new into `folder`."""

    def __init__(self, folder: Path, store: Store) -> None:
        self._folder, self._store = folder, store
        self._file: Path | None = None  # ours; those of earlier lives are left as they are
        self._written: Written | None = None

    def write(self) -> None:
        """Reading and writing grow with what is new, never with the run."""
        before = self._written or self._read()
        while page := self._store.since(before.seq, kinds=_KINDS):
            after, frames = _told(before, page)
            self._put(page[0][1].time, frames, before, after)
            before = after

    def _put(self, time: float, frames: bytes, before: Written, after: Written) -> None:
        """If anything goes wrong in here, the next try is a new file, and takes this one back."""
        file, self._file = self._file, None
        if file is None:
            with layout.translated(self._folder):
                self._folder.mkdir(parents=True, exist_ok=True)
            file = self._new()
            begun = tfevents.begun(time, before.latest + 1)
            frames = b"".join((tfevents.opened(time), begun, frames))
        _append(file, frames)
        layout.write_json(self._folder / _NOTE, {"version": VERSION, **asdict(after)})
        self._file, self._written = file, after

    def _new(self) -> Path:
        """TensorBoard reads a folder's files in the order of their names."""
        parts = (path.name.split(".")[3] for path in self._folder.glob(f"{_FILES}.*"))
        number = max((int(part) for part in parts if part.isdigit()), default=0) + 1
        return self._folder / f"{_FILES}.{number:010d}.evener"

    def _read(self) -> Written:
        """Where there is no note to be read, all is written again, and the old files taken back."""
        try:
            values = layout.read_json(self._folder / _NOTE)
            return Written(*(int(values[name]) for name in ("seq", "step", "latest")))
        except (errors.StoreDamaged, LookupError, TypeError, ValueError):
            return Written()


def _append(file: Path, frames: bytes) -> None:
    """Onto the disk itself: the note of it is, too."""
    with layout.translated(file), file.open("ab") as end:
        end.write(frames)
        end.flush()
        os.fsync(end.fileno())


def _told(before: Written, page: Sequence[tuple[int, Record]]) -> tuple[Written, bytes]:
    """How far the files are after a page of records, and what it adds to them."""
    frames: list[bytes] = []
    after = before
    for seq, record in page:
        event = record.event
        assert isinstance(event, Told)
        after, more = _next(after, seq, event, record)
        frames.append(more)
    return after, b"".join(frames)


def _next(before: Written, seq: int, event: Told, record: Record) -> tuple[Written, bytes]:
    frames, latest = _frames(event, record), max(before.latest, event.step)
    if not isinstance(event, StepCommitted):
        return Written(seq, before.step, latest), frames
    if event.step == before.step:
        frames = b""  # two have told it
    elif event.step < before.step:
        frames, latest = tfevents.begun(record.time, event.step) + frames, event.step
    return Written(seq, event.step, latest), frames


def _frames(event: Told, record: Record) -> bytes:
    if isinstance(event, TextSampled):
        return tfevents.text(record.time, event.step, "text", _shown(event))
    points = tables.points(record)
    values = {_tag(name): value for _, name, value, _ in points if name != SAMPLES}
    return tfevents.numbers(record.time, event.step, values)


def _tag(name: str) -> str:
    """TensorBoard groups by what is before the stroke."""
    validated = name.removeprefix("validation.")
    return f"train/{name}" if validated == name else f"validation/{validated}"


def _shown(sampled: TextSampled) -> str:
    """Indented: what a model writes is shown as it is, not taken for Markdown."""
    lines = (sampled.prompt + sampled.text).splitlines()
    return "\n".join(f"    {line}" for line in lines)
