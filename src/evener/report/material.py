"""What a report is made of. Whoever has the record gathers it; nothing else is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from evener.state import RunState

Numbers = Sequence[float | None]  # None: it was not a number


class Points(Protocol):
    """A number by step. A point that stands for many has their lowest, highest and mean."""

    @property
    def step(self) -> Sequence[int]: ...

    @property
    def time(self) -> Sequence[float]: ...

    @property
    def low(self) -> Numbers: ...

    @property
    def high(self) -> Numbers: ...

    @property
    def mean(self) -> Numbers: ...

    @property
    def exact(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Told:
    """Something that happened, in a sentence; `kind` is the event's."""

    time: float
    text: str
    level: str = "note"
    kind: str = ""
    step: int | None = None


@dataclass(frozen=True, slots=True)
class Material:
    """A run as it is known. What there is none of is left out of the report."""

    state: RunState
    curves: Mapping[str, Points] = field(default_factory=dict)
    timings: Mapping[int, Mapping[str, Numbers]] = field(default_factory=dict)  # by rank
    told: Sequence[Told] = ()
    job: Mapping[str, Any] = field(default_factory=dict)
