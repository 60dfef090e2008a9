"""How a rank's process fares, from what the system says: looked at once a report, never in a step.

A look costs a fifth of a millisecond. What the system does not say, on this platform or in this
container, is None; it is never an error and never guessed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from evener.probe.patience import Patient
from evener.rank import gauges, nvml
from evener.rank.gauges import Source


@dataclass(frozen=True, slots=True)
class Vitals:
    """Between two looks of one process. None: the system does not say."""

    seconds: float = 0.0
    running_s: float | None = None  # of the thread that trains
    queued_s: float | None = None  # that thread was ready, and another program had the processor
    preempted: float | None = None  # times a thread of the rank had to leave its processor
    throttled_s: float | None = None  # all processors together: held back by the group's quota
    stolen: float | None = None  # part of the busy time that the host of this machine took
    major_faults: float | None = None  # memory of its own that had to be read from disk
    swapped_pages: float | None = None  # by the whole machine, in and out
    stalled_s: float | None = None  # somebody of its control group waited for memory
    heat_events: float | None = None  # times the processor slowed itself down
    hot: float | None = None  # 1: its GPU slows itself down, or is slowed down, against heat
    capped: float | None = None  # 1: its GPU is at its limit of power
    clock: float | None = None  # as a part of the fastest it has
    temperature_c: float | None = None
    on_battery: float | None = None  # 1: it is


COUNTERS = (
    "running_s", "queued_s", "preempted", "throttled_s", "major_faults", "swapped_pages",
    "stalled_s", "heat_events",
)  # fmt: skip
GAUGES = ("hot", "capped", "clock", "temperature_c", "on_battery")


class Reader:
    """Looks again and again; what counters have grown by is told since the look before."""

    def __init__(
        self,
        counters: Sequence[Source],
        levels: Sequence[Source] = (),
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._clock = clock
        self._counters, self._sources = counters, (*counters, *levels)
        self._levels = [Patient(source.read, clock) for source in levels]
        self._at, self._seen = clock(), _all(counters)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *reason: object) -> None:
        for source in self._sources:
            source.close()

    def look(self) -> Vitals:
        at, seen = self._clock(), _all(self._counters)
        levels = {name: value for p in self._levels for name, value in p.read().items()}
        vitals = between(self._seen, seen, at - self._at, levels)
        self._at, self._seen = at, seen
        return vitals


def _all(sources: Sequence[Source]) -> dict[str, float]:
    return {name: value for source in sources for name, value in source.read().items()}


def between(
    before: Mapping[str, float],
    now: Mapping[str, float],
    seconds: float,
    levels: Mapping[str, float],
) -> Vitals:
    """What two readings come to. A counter that went back (another group's) says nothing."""
    grown = {n: now[n] - before[n] for n in now if n in before and now[n] >= before[n]}
    stolen, busy = grown.get("stolen_ticks"), grown.get("busy_ticks")
    return Vitals(
        seconds=seconds,
        stolen=min(stolen / busy, 1.0) if stolen is not None and busy else None,
        **{name: grown[name] for name in COUNTERS if name in grown},
        **{name: levels[name] for name in GAUGES if name in levels},
    )


def of_this_process(device: str) -> Reader:
    """Of the process that computes on `device`. Call it on the thread that trains, and close it."""
    counters = [*gauges.process(), *gauges.groups(), *gauges.machine()]
    if device.startswith("cuda"):
        return Reader(counters, [*gauges.power(), *nvml.levels(device)])
    return Reader([*counters, *gauges.heat()], [*gauges.power(), *gauges.processor()])
