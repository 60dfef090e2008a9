"""Checkpoints in the background: training hands over a copy and goes on.

One write is under way at a time. A failed write (a full disk) is a warning, the older checkpoints
stay whole, and training goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

from evener import checkpoint
from evener.checkpoint import Snapshot
from evener.config import schema
from evener.engine import export
from evener.engine.worker import Worker
from evener.errors import MachineError, NoCheckpoint
from evener.events import Alert, CheckpointDropped, CheckpointWritten, Event
from evener.rundir import checkpoints
from evener.rundir.checkpoints import Entry
from evener.rundir.layout import RunDir


@dataclass(slots=True)
class Keeper:
    """The lead's hand on the checkpoint folder. `close` waits for the last write."""

    run: RunDir
    config: schema.Checkpoint
    emit: Callable[[Event], None]
    _thread: threading.Thread | None = None
    _writing: int = -1

    @property
    def newest_step(self) -> int:
        """The step of the last checkpoint, on disk or on its way there; -1 where there is none."""
        found = checkpoints.entries(self.run.checkpoints)
        return max(found[-1].step if found else -1, self._writing if self.busy else -1)

    @property
    def busy(self) -> bool:
        """Whether one is being written."""
        return self._thread is not None and self._thread.is_alive()

    def newest(self) -> Snapshot | None:
        """The newest checkpoint that verifies; None where the run has none yet."""
        snapshot, damaged = checkpoint.newest(self.run.checkpoints)
        if snapshot is None and checkpoints.aside(self.run.checkpoints):
            raise NoCheckpoint(
                "every checkpoint of the run is damaged",
                where=str(self.run.checkpoints),
                fix="begin a new run; the damaged ones are kept beside, under .damaged-*",
            )
        for path in damaged if snapshot is not None else ():
            text = f"{path.name} does not match its manifest and was set aside"
            self.emit(Alert("warning", text))
        return snapshot

    def save(self, snapshot: Snapshot, metric: float | None, best: bool) -> None:
        """Write `snapshot`; waits for the one before it, never for its own."""
        self.wait()
        self._writing = snapshot.step
        self._thread = threading.Thread(
            target=self._write, args=(snapshot, metric, best), name="checkpoint"
        )
        self._thread.start()

    def wait(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def export(self, worker: Worker) -> None:
        """The trained model, beside the record."""
        self.emit(export.final(self.run, worker))

    def _write(self, snapshot: Snapshot, metric: float | None, best: bool) -> None:
        began = perf_counter()
        try:
            entry = checkpoint.write(self.run.checkpoints, snapshot, metric)
            self._report(entry, perf_counter() - began, best)
            keep = checkpoints.to_keep(checkpoints.entries(self.run.checkpoints), self.config)
            for gone in checkpoints.prune(self.run.checkpoints, keep):
                self.emit(CheckpointDropped(gone.step, self._relative(gone)))
        except (MachineError, OSError) as error:
            what = error.what if isinstance(error, MachineError) else str(error)
            self.emit(Alert("warning", f"{what}; training goes on with the older ones"))

    def _report(self, entry: Entry, seconds: float, best: bool) -> None:
        path = self._relative(entry)
        size = entry.size_bytes
        self.emit(CheckpointWritten(entry.step, path, size, seconds, best, entry.metric))

    def _relative(self, entry: Entry) -> str:
        return entry.path.relative_to(self.run.path).as_posix()
