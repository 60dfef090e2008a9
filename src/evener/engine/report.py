"""What a rank tells of its work: events, batched, handed to its agent without ever waiting.

What all ranks know alike, the steps above all, the lead publishes. The others remember the last
of it, so that when a lead dies with words unsaid, or falls behind, they say them; whoever reads
counts a step once.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace

from evener import events
from evener.engine import signs
from evener.engine.step import Spent
from evener.engine.straggler import Straggler
from evener.events import Event, RankTimed, Record
from evener.orders import Order, Progress, Report
from evener.rank import device as devices
from evener.rank.vitals import Vitals
from evener.shares import Speed

REMEMBERED_S = 5.0  # longer than a lead, or its agent, keeps its words to itself
REMEMBERED = 5000
PARTS = tuple(f.name for f in fields(Spent) if f.name.endswith("_s"))


@dataclass(slots=True)
class Timer:
    """Adds up where the time of several steps went."""

    steps: int = 0
    sums: Spent = field(default_factory=Spent)
    step_s: float = 0.0

    def add(self, spent: Spent, step_s: float) -> None:
        self.steps += 1
        self.step_s += step_s
        self.sums.samples += spent.samples
        for name in PARTS:
            setattr(self.sums, name, getattr(self.sums, name) + getattr(spent, name))


def due_after(now: float, every_s: float) -> float:
    """By the machine's clock: ranks that step together report together, so that their agent and
    the head are woken once for all of them."""
    return (now // every_s + 1.0) * every_s


class Reporter:
    """Stamps, batches and hands over. `say` is the line to the agent, `look` the system's word."""

    def __init__(
        self,
        rank: int,
        life: int,
        every_s: float,
        say: Callable[[Order], None],
        look: Callable[[], Vitals] = Vitals,
    ) -> None:
        # Drawn, for in a container that starts again everything else comes again: its pid too.
        self._source = f"rank {rank}/{life}-{secrets.token_hex(4)}"
        self._rank = rank
        self._every_s = every_s
        self._say = say
        self.look = look
        self._straggler = Straggler(rank)
        self._lead = False
        self._lock = threading.Lock()
        self._number = 0
        self._pending: list[Record] = []
        self._due = due_after(time.monotonic(), every_s)
        self._recent: deque[tuple[float, Event]] = deque(maxlen=REMEMBERED)
        self._timer = Timer()

    def emit(self, event: Event) -> None:
        """Any thread may; the event leaves with the next batch."""
        with self._lock:
            self._number += 1
            self._pending.append(Record(event, time.time(), self._source, self._number))

    def begin(self, ranks: tuple[int, ...], lead: bool, own: Speed | None = None) -> None:
        """A new generation has formed, perhaps of others. `own` is this rank's speed, if known."""
        self._lead = lead
        self._straggler.begin(ranks, own)

    def agree(self, event: Event, lead: bool) -> None:
        """Every rank knows this: remember it, and publish it as the lead."""
        self._recent.append((time.monotonic(), event))
        if lead:
            self.emit(event)

    def committed(self, step: int, spent: Spent, step_s: float) -> None:
        """After every commit: report when it is time."""
        self._timer.add(spent, step_s)
        if time.monotonic() >= self._due:
            self.flush(step)

    def repeat(self) -> None:
        """Say again what a lead may have taken with it: all of the last moments."""
        since = self._recent[-1][0] - REMEMBERED_S if self._recent else 0.0
        for at, event in self._recent:
            if at >= since:
                self.emit(event)

    def flush(self, step: int) -> None:
        self._due = due_after(time.monotonic(), self._every_s)
        if steps := self._timer.steps:
            self._tell_time(step)
            self._say(Progress(step, round(self._timer.sums.samples / steps)))
            self._timer = Timer()
        with self._lock:
            batch, self._pending = self._pending, []
        if batch:
            self._say(Report(tuple(events.to_dict(r) for r in batch)))

    def _tell_time(self, step: int) -> None:
        """Where the time went, and a word if it went somewhere else than before."""
        vitals, threads = self.look(), devices.threads()
        timed = self._timed(step)
        now = signs.signs(timed, vitals, threads)
        self.emit(
            replace(
                timed,
                cpu_share=now.running,
                throttled_share=now.throttled,
                major_faults_per_s=now.faults,
                temperature_c=vitals.temperature_c,
            )
        )
        for alert in self._straggler.observe(timed, now, self._lead):
            self.emit(alert)

    def _timed(self, step: int) -> RankTimed:
        timer, n = self._timer, self._timer.steps
        own_s = timer.sums.own_s
        return RankTimed(
            rank=self._rank,
            step=step,
            steps=n,
            share=round(timer.sums.samples / n),
            samples_per_s=timer.sums.samples / own_s if own_s > 0 else 0.0,
            **{name: getattr(timer.sums, name) / n for name in PARTS},
            step_s=timer.step_s / n,
            memory_bytes=devices.memory_bytes(devices.current()),
        )
