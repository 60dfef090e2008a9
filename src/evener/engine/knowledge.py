"""What all ranks know of each other's speeds: it outlives a generation, and joins who joins."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from evener.shares import Speed


@dataclass(slots=True)
class Knowledge:
    """Speeds by rank, those of parked ranks included; `exchange_s` is what a step costs on top of
    computing where there are two or more."""

    speeds: dict[int, Speed] = field(default_factory=dict)
    parked: set[int] = field(default_factory=set)
    exchange_s: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        speeds = {str(r): [s.fixed_s, s.per_sample_s] for r, s in sorted(self.speeds.items())}
        return {"speeds": speeds, "parked": sorted(self.parked), "exchange_s": self.exchange_s}


def knowledge_from(record: dict[str, Any]) -> Knowledge:
    """What `to_dict` made, perhaps that of another version."""
    speeds = record.get("speeds", {})
    return Knowledge(
        {int(rank): Speed(*pair) for rank, pair in speeds.items()},
        {int(rank) for rank in record.get("parked", ())},
        float(record.get("exchange_s", 0.0)),
    )
