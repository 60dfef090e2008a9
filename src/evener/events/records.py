"""An event with its envelope, and how it travels: as one JSON object."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from evener import travel
from evener.events.kinds import KINDS, Event

VERSION = 1


@dataclass(frozen=True, slots=True)
class Record:
    """An event with its envelope: who said it, when by their clock, and as their how-manieth."""

    event: Event
    time: float
    source: str
    number: int


def to_dict(record: Record) -> dict[str, Any]:
    """As JSON takes it: a number that is not finite becomes null."""
    told = {
        "v": VERSION,
        "kind": type(record.event).__name__,
        "time": record.time,
        "source": record.source,
        "number": record.number,
    }
    for name, _ in _HINTS[type(record.event)]:  # by hand: ranks do this between two steps
        told[name] = travel.finite(getattr(record.event, name))
    return told


def from_dict(values: Mapping[str, Any]) -> Record | None:
    """The record, or None for a kind this version does not know. Unknown fields are ignored.

    Raises ValueError where a known kind lacks a field or holds one of another type: that is
    damage, not another version. So whoever folds records need not doubt what is in them.
    """
    kind = KINDS.get(str(values.get("kind")))
    if kind is None:
        return None
    known: dict[str, Any] = {}
    for name, hint in _HINTS[kind]:
        if name in values:
            known[name] = travel.read(values[name], hint)
            if not travel.fits(known[name], hint):
                raise ValueError(f"damaged {kind.__name__} event: {name} is no {hint}")
    try:
        time, number = float(values["time"]), int(values["number"])
        if not (math.isfinite(time) and travel.whole(number)):
            raise ValueError(f"time {time} or number {number} is out of range")
        return Record(event=kind(**known), time=time, source=str(values["source"]), number=number)
    except (TypeError, KeyError, OverflowError) as error:
        raise ValueError(f"damaged {kind.__name__} event: {error}") from error


_HINTS = {kind: tuple((f.name, str(f.type)) for f in fields(kind)) for kind in KINDS.values()}
