"""The runs of a folder, or a single one of them: opened when they are looked at."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from evener import contract, errors
from evener.dashboard.source import Listed, RunSource
from evener.launch.places import alive, head_of, launcher_of
from evener.rundir import layout
from evener.rundir.digest import glimpse
from evener.rundir.layout import RunDir
from evener.rundir.store import Store
from evener.state import RunState
from evener.viewer.shown import Shown

Mark = tuple[int, int]  # of a file: it has changed where this has


class Folder:
    """A `dashboard.Runs`. Use it in a `with`: it owns the records that it has opened."""

    def __init__(self, root: Path, only: RunDir | None = None) -> None:
        self._root, self._only = root, only
        self._turn = threading.Lock()
        self._open: dict[Path, Shown] = {}
        self._glimpses: dict[Path, tuple[Mark, RunState]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for shown in self._open.values():
            shown.close()

    def alone(self) -> str | None:
        return self._only.name if self._only else None

    def states(self) -> list[Listed]:
        """A run whose record is damaged is left out: its own page says why."""
        found = []
        for run in self._runs():
            with contextlib.suppress(errors.EvenerError):
                state = self._glimpse(run)
                live = not state.ended and alive(run, launcher_of(run))
                found.append(Listed(run, state, live))
        return found

    def find(self, name: str) -> RunSource | None:
        run = self._run(name)
        if run is None:
            return None
        with self._turn:
            if run.path not in self._open:
                self._open[run.path] = Shown(run)
            return self._open[run.path]

    def elsewhere(self, name: str) -> str | None:
        """The page of a run that must be read from its head: its folder is only shared with an
        engine's virtual machine, and a record that is written there is not to be opened here."""
        run = self._run(name)
        launcher = launcher_of(run) if run else None
        if not (run and launcher and alive(run, launcher) and launcher.head(run)):
            return None
        place = head_of(run, launcher)
        return contract.page_address(place.address, place.secret) if place else None

    def _runs(self) -> list[RunDir]:
        return [self._only] if self._only else layout.runs(self._root)

    def _run(self, name: str) -> RunDir | None:
        return next((run for run in self._runs() if run.name == name), None)

    def _glimpse(self, run: RunDir) -> RunState:
        """A record that has not changed is not read again."""
        mark = _mark(run.db)
        known = self._glimpses.get(run.path)
        if known is None or known[0] != mark:
            with Store.open(run.db, write=False) as store:
                known = mark, glimpse(store)
            self._glimpses[run.path] = known
        return known[1]


def _mark(file: Path) -> Mark:
    """What is written since the last checkpoint of its log is in a file of its own."""
    sizes = 0
    newest = 0
    for path in (file, file.with_name(file.name + "-wal")):
        with contextlib.suppress(OSError):
            stat = path.stat()
            sizes += stat.st_size
            newest = max(newest, stat.st_mtime_ns)
    return newest, sizes
