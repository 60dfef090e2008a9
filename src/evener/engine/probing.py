"""The first steps with ranks that nobody has measured, and that cannot rehearse: each is a probe.

A script's loop runs for steps alone: what it did for a measurement, it would have done twice. But a
step is exact whatever its shares. So the first ones are cut anew one after the other, each by what
those before took, and not after a whole window that waits for the slowest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from evener.shares import Speed

PROBES = 3  # the first pays for much that later ones find done, the second is the first to count


@dataclass(slots=True)
class Probing:
    """Of one generation."""

    strangers: frozenset[int]
    left: int = PROBES
    _best: dict[int, float] = field(default_factory=dict)  # seconds a sample

    def take(self, step: Iterable[tuple[int, float, float]]) -> dict[int, Speed]:
        """What a step says of the strangers: by rank, seconds and samples. Two points so close to
        each other tell no fixed costs, so all is a sample's; the fastest step was disturbed least.
        """
        self.left -= 1
        for rank, time_s, samples in step:
            if rank in self.strangers and samples > 0 and time_s > 0:
                each_s = time_s / samples
                self._best[rank] = min(each_s, self._best.get(rank, each_s))
        return {rank: Speed(0.0, each_s) for rank, each_s in self._best.items()}
