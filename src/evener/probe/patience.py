"""Slow gauges are asked seldom: looking must not cost what is looked at."""

from __future__ import annotations

from collections.abc import Callable

PATIENCE = 1000  # a gauge that took 20 ms (batteries do) is asked again after 20 s

Clock = Callable[[], float]


class Patient:
    """A gauge that answers slowly is asked seldom; its last answer stands meanwhile."""

    def __init__(
        self, read: Callable[[], dict[str, float]], clock: Clock, cost: Clock | None = None
    ) -> None:
        """`cost` is what makes an answer slow: the time it took by `clock`, or the processor's."""
        self._read, self._clock, self._cost = read, clock, cost or clock
        self._due = clock()
        self._last: dict[str, float] = {}

    def read(self) -> dict[str, float]:
        now = self._clock()
        if now >= self._due:
            before = self._cost()
            self._last = self._read()
            self._due = now + PATIENCE * (self._cost() - before)
        return self._last
