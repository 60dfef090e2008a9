"""One run of a folder as pages see it, whoever trains it and whether or not it still goes on."""

from __future__ import annotations

import asyncio
import threading
import time

from evener import errors, state
from evener.dashboard.source import Ask
from evener.events import Record
from evener.launch import wishes
from evener.launch.places import alive, head_of, launcher_of
from evener.rundir.digest import digest
from evener.rundir.history import History
from evener.rundir.layout import RunDir
from evener.rundir.store import Store
from evener.state import RunState

ALIVE_S = 1.0  # between two looks whether anybody trains
POLL_S = 0.2  # between two looks into a record that grows


class Shown:
    """A `dashboard.RunSource` that reads the run's folder. Close it."""

    acts = True

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self._launcher = launcher_of(run)
        self._store = Store.open(run.db, write=False)
        self._history = History(self._store)
        self._turn = threading.Lock()
        self._seq, self._state = 0, state.EMPTY
        self._alive, self._alive_due = False, 0.0
        self._newest, self._newest_due = 0, 0.0

    def close(self) -> None:
        self._store.close()

    @property
    def live(self) -> bool:
        """A run that has ended is not, and one that nobody trains is not."""
        now = time.monotonic()
        if now >= self._alive_due:
            self._alive_due = now + ALIVE_S
            self._alive = not self._store.has_ended and alive(self.run, self._launcher)
        return self._alive

    def newest(self) -> int:
        now = time.monotonic()
        if now >= self._newest_due:
            self._newest_due = now + POLL_S
            self._newest = self._store.last_seq
        return self._newest

    async def grown(self, seq: int, most_s: float) -> None:
        await asyncio.sleep(min(most_s, POLL_S))

    def state(self) -> RunState:
        with self._turn:
            if not self._seq:
                self._seq, self._state = digest(self._store)
            while page := self._store.since(self._seq):
                self._seq = page[-1][0]
                self._state = state.fold((record for _, record in page), self._state)
            return self._state

    def since(self, seq: int) -> list[tuple[int, Record]]:
        return self._store.since(seq)

    def history(self) -> History:
        return self._history

    def ask(self, what: Ask) -> None:
        """By the run's head: it has a page of its own, which takes the same."""
        place = head_of(self.run, self._launcher)
        if place is None:
            raise errors.RunVanished("nobody trains this run now", where=self.run.name)
        wishes.ask(self.run, place, what)
