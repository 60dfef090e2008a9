"""What a report and the system's word on it say of why a rank is slow: parts, rates, a cause.

A sign counts only where it has grown: a rank that has always lived with half a processor, or
with hot neighbours, is as fast as it can be expected to be.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, fields

from evener.events import RankTimed
from evener.rank.vitals import Vitals

# What must have come on top of what is usual, to be called the cause.
LOST = 1.2  # times as slow as before by this loss of processor time alone
STALLED, WAITS_FOR_DATA = 0.1, 0.1
INPUT_BOUND = 0.25  # of a rank's own time, spent waiting for samples
PREEMPTED, FAULTS, SWAPPED, HEAT = 50.0, 20.0, 100.0, 1.0  # a second
CLOCK = 0.8  # of what it was
ABSENT = 0.2  # of its time without a processor, for a reason not known


@dataclass(frozen=True, slots=True)
class Signs:
    """One report of a rank. Parts are of 1, rates by the second; None: not known."""

    data: float
    running: float | None = None  # of the time it computed, with a processor
    queued: float | None = None  # of the time it did not wait for others
    preempted: float | None = None
    throttled: float | None = None
    stolen: float | None = None
    faults: float | None = None
    swapped: float | None = None
    stalled: float | None = None
    heat: float | None = None
    hot: float | None = None
    capped: float | None = None
    clock: float | None = None
    battery: float | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """`words` go on where "rank 2 takes 1.9 times as long as before" ends."""

    name: str
    words: str


UNKNOWN = "unknown"


def own_s(timed: RankTimed) -> float:
    """Seconds of a step that the rank itself took."""
    return timed.data_s + timed.forward_s + timed.backward_s + timed.optimizer_s


def signs(timed: RankTimed, vitals: Vitals, threads: int) -> Signs:
    own, v, whole_s = own_s(timed), vitals, vitals.seconds
    computed_s = min(own * timed.steps, whole_s)
    return Signs(
        data=timed.data_s / own if own > 0 else 0.0,
        running=_of(v.running_s, computed_s),
        queued=_of(v.queued_s, whole_s - timed.wait_s * timed.steps),
        preempted=_rate(v.preempted, whole_s),
        throttled=_of(v.throttled_s, whole_s * threads),
        stolen=v.stolen,
        faults=_rate(v.major_faults, whole_s),
        swapped=_rate(v.swapped_pages, whole_s),
        stalled=_of(v.stalled_s, whole_s),
        heat=_rate(v.heat_events, whole_s),
        hot=v.hot,
        capped=v.capped,
        clock=v.clock,
        battery=v.on_battery,
    )


def _of(some: float | None, whole: float) -> float | None:
    return None if some is None or whole <= 0 else min(some / whole, 1.0)


def _rate(count: float | None, seconds: float) -> float | None:
    return None if count is None or seconds <= 0 else count / seconds


def typical(seen: Sequence[Signs]) -> Signs:
    """The mean of each sign, over the reports in which it was known."""
    known = {f.name: [getattr(s, f.name) for s in seen] for f in fields(Signs)}
    return Signs(
        **{n: _mean([v for v in values if v is not None]) for n, values in known.items()}  # type: ignore[arg-type]
    )


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def explain(now: Signs, usual: Signs) -> Cause:
    """The likeliest cause: what explains others comes before what it explains.

    A quota that is used up makes loaders late; memory on disk makes all late; a rank that waits
    for samples leaves its processor to others.
    """
    for tell in (_throttled, _swapping, _waiting, _crowded, _hot, _on_battery, _slow_clock):
        cause = tell(now, usual)
        if cause is not None:
            return cause
    absent = 1.0 - now.running if now.running is not None else 0.0
    usually = 1.0 - usual.running if usual.running is not None else 0.0
    if absent - usually >= ABSENT:
        return Cause(UNKNOWN, f"its process stood still {_percent(absent)} of the time, unasked")
    return Cause(UNKNOWN, "nothing measured says why")


def _more(now: float | None, usual: float | None, by: float) -> bool:
    return now is not None and now - (usual or 0.0) >= by


def _loses(now: float | None, usual: float | None) -> bool:
    """Whether the part of the time that is lost has grown enough to be felt."""
    return now is not None and 1.0 - (usual or 0.0) >= LOST * (1.0 - min(now, 0.99))


def _throttled(now: Signs, usual: Signs) -> Cause | None:
    if now.throttled is None or not _loses(now.throttled, usual.throttled):
        return None
    absent = 1.0 - (now.running or 0.0)  # the group's time may be that of several ranks
    part = _percent(min(now.throttled, absent) if _loses(absent, 0.0) else now.throttled)
    return Cause("throttled", f"its processor quota was used up {part} of the time (throttled)")


def _swapping(now: Signs, usual: Signs) -> Cause | None:
    """Faults alone may be a data set that is read for the first time."""
    tight = _more(now.swapped, usual.swapped, SWAPPED) or _more(now.stalled, usual.stalled, STALLED)
    if now.faults is None or not tight or not _more(now.faults, usual.faults, FAULTS):
        return None
    words = f"{now.faults:.0f} times a second its memory had to be read from disk (swapping)"
    return Cause("swapping", words)


def _waiting(now: Signs, usual: Signs) -> Cause | None:
    if now.data < INPUT_BOUND or not _more(now.data, usual.data, WAITS_FOR_DATA):
        return None
    change = f"{_percent(now.data)} of its time, before {_percent(usual.data)}"
    return Cause("input-bound", f"it waits for samples {change} (input-bound)")


def _crowded(now: Signs, usual: Signs) -> Cause | None:
    name = "another program"
    if now.stolen is not None and _loses(now.stolen, usual.stolen):
        part = _percent(now.stolen)
        return Cause(name, f"the host of this virtual machine took {part} of its processors' time")
    if now.queued is not None and _loses(now.queued, usual.queued):
        return Cause(name, f"another program had its processor {_percent(now.queued)} of the time")
    if now.preempted is None or now.preempted < 3 * (usual.preempted or 0.0):
        return None
    if not _more(now.preempted, usual.preempted, PREEMPTED):
        return None
    rate = f"{now.preempted:.0f} times a second"
    return Cause(name, f"another program took its processor {rate}")


def _hot(now: Signs, usual: Signs) -> Cause | None:
    if _more(now.hot, usual.hot, 0.5):
        return Cause("thermal", "its GPU is too hot and slowed itself down (thermal)")
    if now.heat is None or not _more(now.heat, 2 * (usual.heat or 0.0), HEAT):
        return None
    return Cause("thermal", "its processor is too hot and slowed itself down (thermal)")


def _on_battery(now: Signs, usual: Signs) -> Cause | None:
    return (
        Cause("on battery", "it runs on battery")
        if _more(now.battery, usual.battery, 0.5)
        else None
    )


def _slow_clock(now: Signs, usual: Signs) -> Cause | None:
    if now.clock is None or usual.clock is None or now.clock > CLOCK * usual.clock:
        return None
    why = ", at its limit of power" if _more(now.capped, usual.capped, 0.5) else ""
    change = f"{_percent(now.clock)} of its fastest, before {_percent(usual.clock)}"
    return Cause("slow clock", f"its clock is at {change}{why}")


def _percent(part: float) -> str:
    return f"{part * 100:.0f} %"
