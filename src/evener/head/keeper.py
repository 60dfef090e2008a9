"""What the head keeps: the record on disk, the state it amounts to, and who still speaks.

The state is folded when somebody asks, from where it was folded last; taking events in costs
the store's work only.

A full disk keeps events out, and training goes on; but that a run has ended, and why, must be
recorded. So a little of the disk is held back for the last words.
"""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections import deque

from evener import errors, events, state
from evener.dashboard.source import Ask
from evener.events import AgentEnded, MachineSeen, Record, RunEnded
from evener.rundir import tensorboard
from evener.rundir.digest import digest
from evener.rundir.layout import RunDir
from evener.rundir.rank_metrics import RankMetrics
from evener.rundir.store import Store
from evener.rundir.tensorboard import TensorBoard
from evener.web import Bell

PAGE = 1000
RECENT = 20_000  # twenty seconds of a thousand ranks: more than lies between two looks back
SLICE = 30  # records folded before whoever takes events in goes first: a millisecond
WAY_S, STEP_ASIDE_S = 0.01, 0.001
ASK_S = 15.0  # agents post every 2 s at least; who joins later is not meant
RESERVE_BYTES = 256 * 1024  # some pages of the record, whatever else wants them just then


class Keeper:
    """Called from several threads; the store makes them take turns. With a `reader` of the same
    record, who reads keeps no event waiting."""

    def __init__(self, run: RunDir, store: Store, reader: Store | None = None) -> None:
        self._store, self._reader = store, reader or store
        self._reserve = run.logs / ".reserve"
        self._hold()
        self._metrics = RankMetrics(run, self._reader)
        asked = tensorboard.wanted(run)
        self._tensorboard = TensorBoard(run.tensorboard, self._reader) if asked else None
        self._fold_turn = threading.Lock()
        self._seq = 0
        self._state = state.EMPTY
        # What came in last, as it came: who follows closely need not read it from the disk.
        self._recent: deque[tuple[int, Record]] = deque(maxlen=RECENT)
        self._intake = threading.Lock()  # what is stored and what is recent, in one order
        self._taking: set[int] = set()  # threads that store what has come
        self.newest = store.last_seq  # the number of the last record
        self.news, self.partings = Bell(), Bell()  # there are more; somebody has said goodbye
        self.posts = 0  # so far: it stands still while all agents are silent
        self._asks: dict[str, tuple[float, Ask]] = {}
        self.run_ended = False  # as told in this life of the head, or before it
        self.agents: set[str] = set()  # that came, as told in this life alone
        self.ended_agents: set[str] = set()  # of these

    def take(self, records: list[Record]) -> int:
        """Store what is new. An empty list is a sign of life as well."""
        self.posts += 1
        self._taking.add(threading.get_ident())
        try:
            stored = self._add(records) if records else 0
        except errors.DiskFull:
            try:
                self._hear(self._last_words(records))
            finally:
                self._part(records)
            raise
        finally:
            self._taking.discard(threading.get_ident())
        self._hear(records)
        return stored

    def _add(self, records: list[Record]) -> int:
        with self._intake:
            new = self._store.append(records)
            if new and new[0][0] != self.newest + 1:  # somebody else has written in between
                self._recent.clear()
            self._recent.extend(new)
            self.newest = new[-1][0] if new else self.newest
        if new:
            self.news.ring()
        return len(new)

    def ask(self, what: Ask) -> None:
        """A person wants this of the run: agents hear it in the answers to their posts."""
        self._asks = {i: a for i, a in self._asks.items() if a[0] > time.monotonic() - ASK_S}
        self._asks[secrets.token_hex(8)] = time.monotonic(), what

    @property
    def asks(self) -> list[tuple[str, Ask]]:
        """What is to be passed on. Every agent hears each several times, and does it once."""
        since = time.monotonic() - ASK_S
        return [(name, what) for name, (at, what) in self._asks.items() if at > since]

    def _hear(self, records: list[Record]) -> None:
        self._part(records)
        self.agents |= {r.event.agent for r in records if isinstance(r.event, MachineSeen)}
        ended = any(isinstance(record.event, RunEnded) for record in records)
        self.run_ended = self.run_ended or ended

    def _part(self, records: list[Record]) -> None:
        """Who says goodbye is gone, whether or not there was space to write that down: not before
        it is written, for when all are gone, the head looks whether they told the run's end."""
        ended = {r.event.agent for r in records if isinstance(r.event, AgentEnded)}
        self.ended_agents |= ended
        if ended:
            self.partings.ring()

    def _last_words(self, records: list[Record]) -> list[Record]:
        """Of records that found no space, those that must: stored where it was held for them."""
        last = [r for r in records if isinstance(r.event, RunEnded | AgentEnded)]
        if last:
            self.close()
            self._add(last)
        return last

    def state(self) -> state.RunState:
        with self._fold_turn:
            if not self._seq:
                self._seq, self._state = digest(self._reader)
            while page := self.since(self._seq):
                for start in range(0, len(page), SLICE):
                    part = page[start : start + SLICE]
                    self._state = state.fold((record for _, record in part), self._state)
                    self._seq = part[-1][0]
                    self._give_way()
            return self._state

    def _give_way(self) -> None:
        """One thread at a time has Python's lock: what is made of events is made between them, not
        beside them, where each would wait for the other at every turn."""
        until = time.monotonic() + WAY_S
        while self._taking and time.monotonic() < until:
            time.sleep(STEP_ASIDE_S)

    def since(self, seq: int) -> list[tuple[int, Record]]:
        """The next records after number `seq`, as many as one answer should have."""
        with self._intake:
            first = self._recent[0][0] if self._recent else self.newest + 1
            if seq + 1 >= first:
                at = seq + 1 - first
                return list(itertools.islice(self._recent, at, at + PAGE))
        return self._reader.since(seq, PAGE)

    def write_metrics(self, most: int | None = None) -> None:
        """What is made of the record now and then, for charts and for other programs. Where the
        space for last words is given back, none of it is taken for what only makes charts fast."""
        self._metrics.write(most, self.since, self._give_way)
        if self._reserve.exists():
            self._store.settle()
        self._store.checkpoint()
        if self._tensorboard is not None:
            self._tensorboard.write()

    def run_has_ended(self) -> bool:
        """Since it began the last time."""
        return self._store.has_ended

    def end_run(self, ended: events.RunEnded) -> None:
        """Put an end on the record that no agent told of."""
        self.close()
        self.say(ended)

    def say(self, event: events.Event) -> None:
        """What the head itself has to tell."""
        self._add([Record(event, time.time(), f"head/{secrets.token_hex(4)}", 1)])

    def _hold(self) -> None:
        """On a disk that has not even this much left, the record itself gets the rest."""
        try:  # no zeros: some file systems store none
            self._reserve.write_bytes(secrets.token_bytes(RESERVE_BYTES))
        except OSError:
            self.close()

    def close(self) -> None:
        """Give back what was held of the disk."""
        self._reserve.unlink(missing_ok=True)
