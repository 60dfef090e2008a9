"""Who takes how much of each batch: measured speeds in, shares out, the same on every rank.

Each step's control sum carries every rank's own compute time and sample count, so all ranks see
the same numbers without another message and reach the same shares by the same pure function.
A change is announced ahead by as many steps as data may already have been drawn for.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from evener import shares
from evener.config import schema
from evener.shares import Speed

REMEMBERED_WINDOWS = 12
WINDOW_S = 2.0  # a window also lasts this long: steps of milliseconds are mostly noise
SETTLE_STEPS = 2  # after a change the first steps are not typical: caches, allocator


@dataclass(frozen=True, slots=True)
class Change:
    """From `step` on the ranks take `shares`, in the order of the group."""

    step: int
    shares: tuple[int, ...]


@dataclass(slots=True)
class Balance:
    """The shares of one generation, and what is known of its ranks' speeds."""

    config: schema.Balance
    global_batch: int
    ahead: int  # requests that may have been drawn before their step
    ranks: tuple[int, ...]
    speeds: dict[int, Speed] = field(default_factory=dict)
    current: tuple[int, ...] = ()
    pending: Change | None = None
    _seen: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    _windows: dict[int, list[tuple[int, float]]] = field(default_factory=dict)
    _window_steps: int = 0
    _window_s: float = 0.0
    _quiet_until: int = 0

    def begin(self, step: int) -> None:
        """Shares at the start of a generation: equal until somebody has been measured."""
        if self.config.weights is not None:
            given = dict(enumerate(self.config.weights))
            weights = [given.get(r, 1.0) for r in self.ranks]
            # those that are left may all have weight 0: somebody must go on
            self.current = shares.split(
                weights if any(weights) else [1.0] * len(weights), self.global_batch
            )
            return
        known = [self.speeds[r] for r in self.ranks if r in self.speeds]
        if self.config.policy == "equal" or not known:
            self.current = shares.split([1.0] * len(self.ranks), self.global_batch)
        else:
            typical = Speed(
                statistics.fmean(s.fixed_s for s in known),
                statistics.fmean(s.per_sample_s for s in known),
            )
            speeds = [self.speeds.get(r, typical) for r in self.ranks]
            self.current = _nobody_idle(shares.solve(speeds, self.global_batch, None))
        self._quiet_until = step + SETTLE_STEPS

    def at(self, step: int) -> tuple[int, ...]:
        """The shares in force for `step`, which may lie up to `ahead` steps in the future."""
        if self.pending is not None and step >= self.pending.step:
            return self.pending.shares
        return self.current

    def observe(
        self, step: int, seconds: Sequence[float], samples: Sequence[float]
    ) -> Change | None:
        """Take in what every rank measured in `step`; returns a change newly decided."""
        if self.pending is not None and step + 1 >= self.pending.step:
            self.current, self.pending = self.pending.shares, None
            self._start_window()
            self._quiet_until = step + 1 + SETTLE_STEPS
        if self.config.policy != "adaptive" or step < self._quiet_until or self.pending:
            return None
        for rank, time_s, count in zip(self.ranks, seconds, samples, strict=True):
            if count > 0:
                self._seen.setdefault(rank, []).append((count, time_s))
        self._window_steps += 1
        self._window_s += max(seconds)
        if self._window_steps < self.config.window or self._window_s < WINDOW_S:
            return None
        return self._look(step)

    def _start_window(self) -> None:
        self._seen.clear()
        self._window_steps, self._window_s = 0, 0.0

    def _look(self, step: int) -> Change | None:
        """The end of a window: fit each rank's speed to its medians, and see if a cut pays."""
        for rank, pairs in self._seen.items():
            samples = max(1, round(statistics.median(n for n, _ in pairs)))
            time_s = statistics.median(t for _, t in pairs)
            previous = self.speeds.get(rank, Speed(0.0, time_s / samples))
            history = self._windows.setdefault(rank, [])
            if shares.departs(previous, samples, time_s):
                history.clear()  # another regime: what was measured before no longer holds
            history.append((samples, time_s))
            del history[:-REMEMBERED_WINDOWS]
            self.speeds[rank] = shares.fit(previous, history)
        self._start_window()
        if any(rank not in self.speeds for rank in self.ranks) or len(self.ranks) == 1:
            return None
        speeds = [self.speeds[r] for r in self.ranks]
        wanted = _nobody_idle(
            shares.revise(self.current, speeds, self.global_batch, self.config.min_gain)
        )
        if wanted == self.current:
            return None
        self.pending = Change(step + 1 + self.ahead, wanted)
        return self.pending

    def to_dict(self) -> dict[str, Any]:
        """What a rank that joins must know to decide alike; speeds outlive generations."""
        return {str(r): [s.fixed_s, s.per_sample_s] for r, s in sorted(self.speeds.items())}


def speeds_from(record: dict[str, Any]) -> dict[int, Speed]:
    return {int(rank): Speed(*pair) for rank, pair in record.items()}


def _nobody_idle(cut: tuple[int, ...]) -> tuple[int, ...]:
    """A rank without samples is never measured again: it gets one of whoever has most."""
    given = list(cut)
    for index, share in enumerate(cut):
        largest = max(range(len(given)), key=lambda i: given[i])
        if share == 0 and given[largest] > 1:
            given[largest] -= 1
            given[index] += 1
    return tuple(given)
