"""What the pages are told, as plain JSON values. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evener import travel, words
from evener.events import RankTimed, Record, ScalarsWritten, StepCommitted, Validated
from evener.rundir import tables
from evener.rundir.history import TIMINGS, Series
from evener.state import RunState, to_dict

MOST_POINTS, MOST_NAMES, MOST_ITEMS = 5000, 64, 2000  # of one answer
_TAILS = ("loss_tail", "speeds")  # charts have the history
_SUMMED = (
    "phase", "job", "model", "data", "place", "started_at", "begun_at", "ended_at", "step",
    "total_steps", "epoch", "loss", "samples_per_s",
)  # fmt: skip


def of_state(state: RunState, *, live: bool, acts: bool, now: float) -> dict[str, Any]:
    return {**to_dict(state, _TAILS), "live": live, "acts": acts, "now": now}


def summary(name: str, state: RunState, *, live: bool, size_bytes: int) -> dict[str, Any]:
    """One line of the list of runs."""
    told = to_dict(state)
    last = told["validation"] or {}
    return {
        "name": name,
        **{field: told[field] for field in _SUMMED},
        "validation_loss": last.get("loss"),
        "metrics": last.get("metrics") or {},
        "ranks": len(told["ranks"]) or told["ranks_asked"],
        "machines": told["machines"],
        "live": live,
        "size_bytes": size_bytes,
    }


def of_series(found: Iterable[Series]) -> dict[str, Any]:
    """By name: columns of equal length, in the order of steps."""
    return {
        series.name: {
            "step": series.step,
            "time": series.time,
            "samples": series.samples,
            "low": series.low,
            "high": series.high,
            "mean": series.mean,
            "exact": series.exact,
        }
        for series in found
    }


def of_timings(found: Mapping[int, dict[str, list[Any]]]) -> dict[str, Any]:
    return {"fields": list(TIMINGS), "ranks": {str(rank): c for rank, c in found.items()}}


def news(seq: int, records: Sequence[tuple[int, Record]], teller: words.Teller) -> dict[str, Any]:
    """What charts and the timeline grow by."""
    points: dict[str, list[list[Any]]] = {}
    timings: list[list[Any]] = []
    told: list[dict[str, Any]] = []
    for number, record in records:
        match record.event:
            case StepCommitted() | Validated() | ScalarsWritten():
                for step, name, value, time in tables.points(record):
                    points.setdefault(name, []).append([step, time, travel.finite(value)])
            case RankTimed() as timed:
                timings.append([travel.finite(v) for v in _timing(timed, record.time)])
        told += items(number, record, teller)
    return {"seq": seq, "points": points, "timings": timings, "timeline": told}


def _timing(timed: RankTimed, time: float) -> list[Any]:
    return [timed.rank, timed.step, time, *(getattr(timed, name) for name in TIMINGS)]


def items(number: int, record: Record, teller: words.Teller) -> list[dict[str, Any]]:
    """The lines of the timeline that a record is worth, mostly one. `teller` heard all before."""
    kind, event = type(record.event).__name__, record.event
    step, rank = getattr(event, "step", None), getattr(event, "rank", None)
    return [
        {
            "seq": number,
            "time": told.time,
            "step": step,
            "kind": kind,
            "level": told.level,
            "text": told.text,
            "rank": rank,
            "quiet": told.quiet,
        }
        for told in teller.tell(record)
    ]


def timeline(records: Sequence[tuple[int, Record]]) -> dict[str, Any]:
    teller = words.Teller()
    return {"items": [item for seq, record in records for item in items(seq, record, teller)]}
