"""What a view remembers of a run besides its state: curves over all of it, of bounded length."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from evener import events
from evener.events import Record
from evener.state import RunState
from evener.state.bounds import RANKS

POINTS = 800  # a curve has half of it at least: as many as a wide terminal has dots
TAIL = 40  # a rank's last reports

Point = tuple[int, float]  # step, value


class Curve:
    """A number by step over a whole run. When it is full, every two points become their mean.

    `limit` is even. What is not finite is left out of the means; where there is nothing else, a
    point is nan: a gap.
    """

    def __init__(self, limit: int = POINTS) -> None:
        self._limit = limit
        self._each = 1  # values that one point stands for
        self._points: list[Point] = []
        self._open: list[Point] = []  # not yet enough for a point

    def add(self, step: int, value: float) -> None:
        self._open.append((step, value))
        if len(self._open) < self._each:
            return
        self._points.append(_mean(self._open))
        self._open = []
        if len(self._points) >= self._limit:
            pairs = zip(self._points[::2], self._points[1::2], strict=False)
            self._points = [_mean(pair) for pair in pairs]
            self._each *= 2

    def cut(self, step: int) -> None:
        """Forget what lies past `step`: it is done again."""
        self._points = [point for point in self._points if point[0] <= step]
        self._open = [point for point in self._open if point[0] <= step]

    @property
    def points(self) -> list[Point]:
        return [*self._points, _mean(self._open)] if self._open else list(self._points)

    def coarse(self, most: int) -> list[Point]:
        """The same in `most` points, each the mean of its neighbours."""
        points = self.points
        each = max(-(-len(points) // most), 1)
        return [_mean(points[at : at + each]) for at in range(0, len(points), each)]


@dataclass(slots=True)
class RankTrail:
    """What one rank last told that no state keeps. None: its system does not say."""

    speeds: deque[float] = field(default_factory=lambda: deque(maxlen=TAIL))
    cpu_share: float | None = None
    temperature_c: float | None = None


class Trails:
    """The curves of one run. Give it the records in their order, as `words.Story` gets them."""

    def __init__(self) -> None:
        self.loss = Curve()
        self._pace = Curve()  # seconds a sample: its mean is right, that of speeds would not be
        self.ranks: dict[int, RankTrail] = {}
        self._step, self._generation = 0, -1

    def speeds(self, most: int) -> list[Point]:
        """Samples a second over the whole run, in `most` points."""
        return [(step, 1 / pace) for step, pace in self._pace.coarse(most)]

    def begin(self, state: RunState, records: Sequence[Record]) -> None:
        """Before `records` are added, the first ones that are handed out: take the losses of the
        time before them that `state` still knows."""
        steps = [r.event.step for r in records if isinstance(r.event, events.StepCommitted)]
        for step, loss in state.loss_tail:
            if not steps or step < min(steps):
                self.loss.add(step, loss)
                self._step = step

    def add(self, records: Iterable[Record]) -> None:
        for record in records:
            match record.event:
                case events.RunStarted():
                    self.ranks.clear()
                    self._generation = -1
                case events.GenerationFormed(generation=generation, step=step):
                    self._form(generation, step)
                case events.StepCommitted() as committed:
                    self._commit(committed)
                case events.RankTimed() as timed:
                    self._time(timed)

    def _form(self, generation: int, step: int) -> None:
        if generation > self._generation and 0 <= step < self._step:  # a fall back to a checkpoint
            self._step = step
            self.loss.cut(step)
            self._pace.cut(step)
        self._generation = max(generation, self._generation)

    def _commit(self, event: events.StepCommitted) -> None:
        if event.step <= self._step:
            return  # told before, by another side
        self._step = event.step
        self.loss.add(event.step, event.loss)
        pace = event.seconds / event.samples if event.samples > 0 else 0.0
        if math.isfinite(pace) and pace > 0:
            self._pace.add(event.step, pace)

    def _time(self, event: events.RankTimed) -> None:
        if event.rank not in self.ranks and len(self.ranks) >= RANKS:
            return
        trail = self.ranks.setdefault(event.rank, RankTrail())
        trail.speeds.append(event.samples_per_s)
        trail.cpu_share, trail.temperature_c = event.cpu_share, event.temperature_c


def _mean(points: Sequence[Point]) -> Point:
    finite = [value for _, value in points if math.isfinite(value)]
    return points[-1][0], sum(finite) / len(finite) if finite else math.nan
