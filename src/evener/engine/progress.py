"""Where training stands, besides its tensors: counters every rank agrees on, as plain JSON."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from evener.rundir.checkpoints import RISING


@dataclass(slots=True)
class Progress:
    """Moves on all ranks alike: with a step, with what falls due after it, and in levelling."""

    step: int = 0  # committed steps
    cursor: int = 0  # samples they consumed
    moves: int = 0  # optimizers that have moved in the step that is not committed yet
    skipped: int = 0  # steps whose gradients were not finite
    skipped_in_a_row: int = 0
    scale: float = 65536.0  # of an fp16 loss
    scale_age: int = 0  # finite steps since the scale last changed
    validated_step: int = -1
    sampled_step: int = -1
    saved_step: int = -1
    merged_step: int = -1  # when the ranks' buffers were last made one
    best: dict[str, float] = field(default_factory=dict)  # by metric
    without_improvement: int = 0
    balance: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(values: dict[str, Any]) -> Progress:
        """What another version wrote may have other fields; those we know are taken."""
        known = {f.name for f in fields(Progress)}
        return Progress(**{k: v for k, v in values.items() if k in known})

    @property
    def mark(self) -> int:
        """A number that differs where any counter does; a float64 holds it exactly."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return 1 + int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest())

    def improves(self, metric: str, value: float, min_delta: float = 0.0) -> bool:
        best = self.best.get(metric)
        if best is None:
            return True
        gain = value - best if metric in RISING else best - value
        return gain > min_delta
