"""What a run is doing: its record folded into a state, once or while it grows. Reads only.

Whoever watches learns everything from the record, so any number may watch, from any shell, and
none of them matters to the training.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from evener import state as state_of
from evener.errors import DiskFull, EvenerError, RunVanished
from evener.events import Record, RunEnded, RunStarted, Validated
from evener.launch.base import Launcher
from evener.launch.places import launcher_of
from evener.rundir.layout import RunDir
from evener.rundir.recover import recover
from evener.rundir.store import Store
from evener.state import RunState
from evener.wire.reading import Reading

POLL_S = 0.2  # five looks a second are a moving picture; the database hardly notices
STARTING_S = 10.0  # from the record of a start to its first process
RECOVER_S = 3.0  # between two looks for words that an agent could not deliver
HEAD_AGAIN_S = 1.0  # between two tries to reach a head
PARTING_S = 10.0  # the processes' time to go after the end is recorded


@dataclass(frozen=True, slots=True)
class Glance:
    """The state, and the records that led to it since the last glance."""

    state: RunState
    records: tuple[Record, ...] = ()

    @property
    def over(self) -> bool:
        return self.state.ended


class Watch:
    """A reader's place in the record of a run. Owns the open database: use it in a `with`."""

    def __init__(self, run: RunDir, launcher: Launcher | None = None) -> None:
        self.run = run
        self._launcher = launcher or launcher_of(run)
        self._sources = _Sources(run, self._launcher)
        self._seen = 0
        self._state = state_of.EMPTY
        self._validated: tuple[int, float] | None = None

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *reason: object) -> None:
        self._sources.close()

    @property
    def hears_head(self) -> bool:
        """Whether the head told the last of it: then the record's file is the head's alone."""
        return self._sources.from_head

    def read(self) -> Iterator[Glance]:
        """What is recorded and not yet read, in glances of bounded size."""
        while rows := self._sources.since(self._seen):
            self._seen = rows[-1][0]
            records = tuple(record for _, record in rows if not self._is_repeated(record))
            if records:
                self._state = state_of.fold(records, self._state)
                yield Glance(self._state, records)

    def _is_repeated(self, record: Record) -> bool:
        """Whether it is the last validation again: after a death every rank tells it."""
        if not isinstance(record.event, Validated):
            return False
        before, self._validated = self._validated, (record.event.step, record.event.loss)
        return self._validated == before

    @property
    def patience_s(self) -> float:
        """Without any process and without an end for so long: nobody will write one."""
        return self._launcher.vanished_s

    @property
    def alive(self) -> bool:
        """A head that answers is a part of the run; only without it is the place asked."""
        return self.hears_head or self._launcher.alive(self.run)

    @property
    def glance(self) -> Glance:
        return Glance(self._state)

    def settle(self) -> Iterator[Glance]:
        """The last words of a run without processes: what its agents could not deliver, and if
        even that has no end, the end that nobody was left to record."""
        full = None
        try:
            recover(self.run)
        except DiskFull as error:  # which is why there is no end
            full = error
        yield from self.read()
        if not self.glance.over:
            when = self._state.updated_at or time.time()  # of the last sign of life
            end = Record(vanished(self._state, full), when, "watch", 1)
            self._state = state_of.apply(self._state, end)
            yield Glance(self._state, (end,))


class _Sources:
    """The record from the head where the launcher names one that answers, else from its file."""

    def __init__(self, run: RunDir, launcher: Launcher) -> None:
        self._run, self._launcher = run, launcher
        self._reading: Reading | None = None
        self._store: Store | None = None
        self._next_try = 0.0
        self.from_head = False

    def since(self, seq: int) -> list[tuple[int, Record]]:
        reading = self._head()
        if reading is not None:
            try:
                rows = reading.since(seq)
            except OSError:
                self._forget_head()
            else:
                self.from_head = True
                return rows
        self.from_head = False
        if self._store is None:
            self._store = Store.open(self._run.db, write=False)
        return self._store.since(seq)

    def close(self) -> None:
        self._forget_head()
        if self._store is not None:
            self._store.close()

    def _head(self) -> Reading | None:
        if self._reading is None and time.monotonic() >= self._next_try:
            place = self._launcher.head(self._run)
            self._reading = Reading(place.address, place.secret) if place else None
            self._next_try = time.monotonic() + HEAD_AGAIN_S
        return self._reading

    def _forget_head(self) -> None:
        if self._reading is not None:
            self._reading.close()
            self._reading = None


def vanished(state: RunState, known: EvenerError | None = None) -> RunEnded:
    error = known or RunVanished(
        "every process of the run is gone, and none could say why",
        where=state.run,
        fix=f"look into `evener logs {state.run}`; go on with `evener resume {state.run}`",
    )
    return RunEnded(outcome="failed", step=state.step, error=error.to_dict())


def present(run: RunDir, launcher: Launcher | None = None) -> RunState:
    """The state as it is now."""
    state = state_of.EMPTY
    for glance in look(run, launcher):
        state = glance.state
    return state


def look(run: RunDir, launcher: Launcher | None = None) -> Iterator[Glance]:
    """Everything up to now, in glances; the last one is the present. Ends at once."""
    newest = None
    with Watch(run, launcher) as watch:
        for glance in watch.read():
            newest = glance.records[-1]
            yield glance
        if watch.glance.over or watch.alive or _is_young(newest):
            yield watch.glance
        else:
            yield from watch.settle()


def _is_young(newest: Record | None) -> bool:
    """A start is recorded a moment before its first process is there: nothing has vanished."""
    if newest is None:
        return True
    return isinstance(newest.event, RunStarted) and time.time() - newest.time < STARTING_S


def follow(
    run: RunDir,
    launcher: Launcher | None = None,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Glance]:
    """Glances of a run until it is over, one per POLL_S at least; the last one has the end.

    Of a run that was resumed, the records before its last start are folded but not handed out.
    Stays, but not longer than PARTING_S, until the processes are gone, so that what comes next
    (a resume, an export) does not meet them.
    """
    with Watch(run, launcher) as watch:
        yield _since_start(watch.read())
        last_alive = last_recovered = clock()
        while not watch.glance.over:
            sleep(POLL_S)
            if watch.alive:
                last_alive = clock()
            if clock() - last_recovered >= RECOVER_S and not watch.hears_head:
                with contextlib.suppress(DiskFull):  # there may be space again later
                    recover(run)  # the head may be gone while its agents train on
                last_recovered = clock()
            yield from watch.read()
            yield watch.glance
            if not watch.glance.over and clock() - last_alive >= watch.patience_s:
                yield from watch.settle()
        ended = clock()
        while watch.alive and clock() - ended < PARTING_S:
            sleep(POLL_S)
            yield from watch.read()
        yield watch.glance


def _since_start(glances: Iterable[Glance]) -> Glance:
    state, records = state_of.EMPTY, list[Record]()
    for glance in glances:
        state = glance.state
        for record in glance.records:
            if isinstance(record.event, RunStarted):
                records.clear()
            records.append(record)
    return Glance(state, tuple(records))
