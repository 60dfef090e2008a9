"""How an agent's events reach the head: without ever waiting for it, without losing any.

A thread posts what is put in, a batch at a time. While the head is away, events rest in memory at
first and then in a spool file, from which they go out in order when it is back; what is left at
the end stays in that file for `rundir.recover`. A batch may arrive twice (its answer was lost):
each event has a source and a number, so the store takes it once. The source carries a word drawn
anew in each life, hence an agent that starts again in the same run may count from one again.

Where there may be two heads, one that stands `aside` for the first, events go to the one that
answers. What arrived shortly before goes to the other one as well: its copy may lack that.

Events put in the last moment (`PAUSE_S`) before a `kill -9` of this very process are lost.
"""

from __future__ import annotations

import json
import logging
import random
import secrets
import threading
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from evener import events
from evener.events import Alert, Event, Record
from evener.wire.intake import CONNECT_S, REQUEST_S, Intake, asks_of
from evener.wire.spool import Spool

log = logging.getLogger("evener.outbox")

BATCH_EVENTS, BATCH_BYTES = 500, 2**20
EVENT_BYTES = 4 * 2**20  # the head takes 8 MiB at once
GATHER_S = 0.1  # from the first event: ranks that step together report together
PAUSE_S = 0.25  # between two posts
ALIVE_S = 2.0  # without news an empty post goes this often: the head counts on it
BACK_OFF_S, BACK_OFF_MOST_S = 0.25, 4.0
TURN_S, TURNING_S = 2.5, 1.0  # without an answer, until the other head is tried; then this often
KEEP_S, KEEP_EVENTS = 15.0, 10_000  # that arrived
AWAY_S = 2.0  # the head being away for longer, or
MEMORY_EVENTS = 2_000  # more events than these: they go to the spool
MEMORY_MOST_EVENTS = 100_000  # where the spool cannot be written either, the oldest go
SPOOL_PAUSE_S = 5.0  # until the next try to write it then
CLOSE_S = 3.0  # for the last events at the end
LAST_EVENTS = 20  # of which how the run ended is one
ASKS_REMEMBERED = 256
REFUSALS = (400, 413, 422)  # the head is there but will never take this


class Outbox:
    """Use in a `with`: its thread ends there. `put` and `forward` may be called by any thread."""

    def __init__(
        self, head_address: str, secret: str, source: str, spool_path: Path, *, aside: str = ""
    ) -> None:
        life = secrets.token_hex(4)
        self.source = f"{source}/{life}"
        self._heads = [Intake(address, secret) for address in (head_address, aside) if address]
        self._home = self._heads[0]
        self._spool = Spool(spool_path, life)
        self._change = threading.Condition()
        # Shared, under `_change`:
        self._queue: deque[dict[str, Any]] = deque()
        self._number = 0
        self._queued = 0  # events taken in, ever
        self._settled = 0  # of these: arrived, refused for good, or dropped
        self._urgent = False
        self._closing = False
        self._asks: list[str] = []
        # The thread's own:
        self._arrived: deque[tuple[float, bytes]] = deque(maxlen=KEEP_EVENTS)
        self._once_more: list[bytes] = []
        self._heard: deque[str] = deque(maxlen=ASKS_REMEMBERED)
        self._lines: deque[bytes] = deque()  # younger than all that is in the spool
        self._away_since: float | None = None
        self._answers = False  # though it did not take what it was told last
        self._tries = 0
        self._next_try = 0.0
        self._last_contact = float("-inf")
        self._spool_pause_until = 0.0
        self._dropped = 0
        self._thread = threading.Thread(target=self._work, name="outbox", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """A last try of some seconds; what does not arrive then is in the spool file."""
        with self._change:
            self._closing = True
            self._change.notify_all()
        self._thread.join(CLOSE_S + 2 * (CONNECT_S + REQUEST_S))

    def put(self, event: Event) -> None:
        """Report `event` as this source's next. Returns at once."""
        with self._change:
            self._number += 1
            record = Record(event, time.time(), self.source, self._number)
            self._take(events.to_dict(record))

    def forward(self, record: dict[str, Any]) -> None:
        """Pass on what another source has stamped, as `events.to_dict` made it."""
        with self._change:
            self._take(record)

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was put in before has arrived; False if that takes longer."""
        with self._change:
            wanted = self._queued
            self._urgent = True
            self._change.notify_all()
            return self._change.wait_for(lambda: self._settled >= wanted, timeout_s)

    def asks(self) -> list[str]:
        """What a person wants of the run, as the head told since the last call, each ask once:
        "stop", "checkpoint"."""
        with self._change:
            new, self._asks = self._asks, []
            return new

    @property
    def away_s(self) -> float:
        """For how long the head has not taken what it was sent; 0 while it does."""
        since = self._away_since
        return 0.0 if since is None else time.monotonic() - since

    @property
    def silent_s(self) -> float:
        """For how long there was no answer at all: not even that its disk is full."""
        return 0.0 if self._answers else self.away_s

    def address(self) -> str:
        """Of the head that was asked last."""
        return self._heads[0].address

    @property
    def dropped(self) -> int:
        """Events, ever, that neither the head nor the disk took, until there were too many."""
        return self._dropped

    def _take(self, record: dict[str, Any]) -> None:
        if self._closing:
            log.warning("too late for the record: %s", record.get("kind"))
            return
        self._queue.append(record)
        self._queued += 1
        if len(self._queue) in (1, BATCH_EVENTS):
            self._change.notify_all()

    # ---------------------------------------------------------------------- the thread

    def _work(self) -> None:
        while not self._wait():
            self._take_in()
            if time.monotonic() >= self._next_try:
                self._send()
            if self._is_away() or len(self._lines) > MEMORY_EVENTS:
                self._set_aside()
        self._finish()

    def _wait(self) -> bool:
        """Until there is a batch, or the time for one. True: nothing more will come."""
        with self._change:
            self._change.wait_for(lambda: self._queue or self._hurried(), self._quiet_s())
            pause_s = max(GATHER_S, self._last_contact + PAUSE_S - time.monotonic())
            self._change.wait_for(self._hurried, pause_s if self._queue else 0.0)
            if self._urgent:
                self._urgent = False
                self._next_try = 0.0
            return self._closing

    def _hurried(self) -> bool:
        return self._closing or self._urgent or len(self._queue) >= BATCH_EVENTS

    def _quiet_s(self) -> float:
        """How long there is nothing to do without news. While the head is away there is."""
        if self._lines or not self._spool.empty:
            return PAUSE_S
        return max(self._last_contact + ALIVE_S - time.monotonic(), PAUSE_S)

    def _take_in(self) -> None:
        with self._change:
            taken, self._queue = self._queue, deque()
        for record in taken:
            try:
                line = json.dumps(record, separators=(",", ":")).encode()
                if len(line) > EVENT_BYTES:
                    raise ValueError(f"{len(line)} bytes in one event")
                self._lines.append(line)
            except (TypeError, ValueError) as error:
                self._refuse(f"{record.get('kind')}: {error}")
                self._settle(1)

    def _send(self, until: float = float("inf")) -> None:
        """Everything that waits, or as much as the head takes."""
        if self._once_more:
            self._once_more = self._once_more[self._deliver(self._once_more) :]
            if self._once_more:
                return
        while (batch := self._next_batch()) and time.monotonic() < until:
            arrived = self._deliver(batch)
            self._forget(batch[:arrived])
            if arrived < len(batch):
                return
            self._take_in()
        if time.monotonic() - self._last_contact >= ALIVE_S:
            self._deliver([])

    def _next_batch(self) -> list[bytes]:
        """The oldest waiting: those in the spool come before those in memory."""
        try:
            waiting = self._spool.peek(BATCH_BYTES)[:BATCH_EVENTS]
        except OSError as error:
            log.error("the spool cannot be read, its file stays for later: %s", error)
            self._spool.abandon()
            waiting = []
        if waiting:
            return waiting
        batch: list[bytes] = []
        size_bytes = 0
        for line in self._lines:
            size_bytes += len(line)
            if batch and (size_bytes > BATCH_BYTES or len(batch) == BATCH_EVENTS):
                break
            batch.append(line)
        return batch

    def _deliver(self, lines: list[bytes]) -> int:
        """How many of `lines`, from the first on, are settled; fewer than all: the head is away.

        What the head refuses as malformed is halved until the one it means is found.
        """
        head, began = self._heads[0], time.monotonic()
        status = head.post(b'{"events":[' + b",".join(lines) + b"]}")
        if status == 200:
            self._met()
            self._hear(asks_of(head.answer))
            return len(lines)
        if status not in REFUSALS or not lines:
            self._missed(status, began)
            return 0
        if len(lines) == 1:
            self._met()
            self._refuse(lines[0][:200].decode(errors="replace"))
            return 1
        half = len(lines) // 2
        arrived = self._deliver(lines[:half])
        return arrived if arrived < half else half + self._deliver(lines[half:])

    def _hear(self, asks: list[tuple[str, str]]) -> None:
        """The head says an ask again for some seconds, so that a lost answer does not lose it."""
        for name, what in asks:
            if name not in self._heard:
                self._heard.append(name)
                with self._change:
                    self._asks.append(what)

    def _forget(self, lines: list[bytes]) -> None:
        if not lines:
            return
        if len(self._heads) > 1:
            self._arrived.extend((self._last_contact, line) for line in lines)
        if self._spool.empty:
            for _ in lines:
                self._lines.popleft()
        else:
            self._spool.drop(lines)
        self._settle(len(lines))

    def _settle(self, count: int) -> None:
        with self._change:
            self._settled += count
            self._change.notify_all()

    def _refuse(self, what: str) -> None:
        log.error("this cannot be recorded: %s", what)
        self.put(Alert("warning", f"an event could not be recorded: {what}"))

    # ------------------------------------------------------------- the head comes and goes

    def _met(self) -> None:
        self._last_contact = time.monotonic()
        self._away_since = None
        self._tries = 0
        self._next_try = 0.0

    def _missed(self, status: int | None, began: float) -> None:
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = began
            log.warning("the head does not take events (%s)", status or "no answer")
        self._answers = status is not None
        most_s = BACK_OFF_MOST_S
        if not self._answers and len(self._heads) > 1:
            at_home = self._heads[0] is self._home
            if not at_home or self.away_s > TURN_S:
                most_s = TURNING_S
                self._turn()
        pause_s = min(BACK_OFF_S * 2**self._tries, most_s)
        self._tries = min(self._tries + 1, 10)
        self._next_try = now + pause_s * random.uniform(0.5, 1.0)

    def _turn(self) -> None:
        """To the other head, with what the one before has taken last."""
        self._heads[0].close()
        self._heads.reverse()
        since = self._last_contact - KEEP_S
        self._once_more = [line for at, line in self._arrived if at > since]

    def _is_away(self) -> bool:
        return self._away_since is not None and time.monotonic() - self._away_since > AWAY_S

    def _set_aside(self) -> None:
        """From memory to disk. A full disk leaves them in memory, as many as is decent."""
        if not self._lines or time.monotonic() < self._spool_pause_until:
            return
        try:
            self._spool.append(list(self._lines))
        except OSError as error:
            log.error("the spool cannot be written: %s", error)
            self._spool_pause_until = time.monotonic() + SPOOL_PAUSE_S
            self._drop(len(self._lines) - MEMORY_MOST_EVENTS)
            return
        self._lines.clear()

    def _drop(self, surplus: int) -> None:
        """The oldest. Said once; `dropped` tells how many there were."""
        if surplus <= 0:
            return
        for _ in range(surplus):
            self._lines.popleft()
        if not self._dropped:
            agent = self.source.partition("/")[0]
            text = f"neither the head nor agent {agent}'s disk takes events: its oldest are lost"
            self.put(Alert("warning", text))
        self._dropped += surplus
        self._settle(surplus)

    def _finish(self) -> None:
        self._take_in()
        self._send(until=time.monotonic() + CLOSE_S)
        if self._lines and self._answers:  # its disk is full, but for the end of a run
            self._deliver(list(self._lines)[-LAST_EVENTS:])
        self._spool_pause_until = 0.0
        self._set_aside()
        try:
            self._spool.close()
        except OSError as error:
            log.error("the spool cannot be closed: %s", error)
        self._heads[0].close()
