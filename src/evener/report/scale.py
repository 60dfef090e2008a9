"""From values to places on a chart, and the round numbers that stand along its edges."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

PAD = 0.04  # of the span, so that a curve does not run along the edge
SAME = 1e-9  # of a value: what lies closer is one value, and rounding
FAR = 100.0  # how many times the median a value must be for a scale by powers of ten


@dataclass(frozen=True, slots=True)
class Scale:
    """Values `low` to `high` lie between the coordinates `start` and `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        low, high, value = (self._even(v) for v in (self.low, self.high, value))
        share = (value - low) / (high - low) if high > low else 0.5
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def holds(self, value: float | None) -> bool:
        """Whether it has a place at all."""
        return value is not None and math.isfinite(value) and (value > 0 or not self.log)

    def _even(self, value: float) -> float:
        return math.log10(max(value, self.low)) if self.log else value

    @property
    def ticks(self) -> list[float]:
        return powers(self.low, self.high) if self.log else ticks(self.low, self.high)


def fitted(
    values: Iterable[float | None], start: float, end: float, *, floor: float | None = None
) -> Scale:
    """One that holds all of `values`, from `floor` on if it is given. By powers of ten where one
    lies far above the others: a step that went wrong would flatten them."""
    finite = [v for v in values if v is not None and math.isfinite(v)]
    if floor is not None:
        finite.append(floor)
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    if floor is None and low > 0 and high / FAR > median(finite):
        return Scale(low, high, start, end, log=True)
    if not math.isfinite(high - low):
        low, high = low / 4, high / 4  # no number says how far apart they are
    same = high - low <= SAME * max(abs(low), abs(high))
    pad = (0.0 if same else (high - low) * PAD) or abs(high) * PAD or 1.0
    bottom = low if low == floor else max(low - pad, 0.0) if low >= 0 else low - pad
    return Scale(bottom, high + pad, start, end)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from `low` to `high`: 1, 2 or 5 times a power of ten apart."""
    span = high - low
    if not (span > 0 and math.isfinite(span)):
        return [low]
    size = 10.0 ** math.floor(math.log10(span / about))
    if not (size > 0 and math.isfinite(size)):
        return [low]
    step = next((m * size for m in (1, 2, 5, 10) if m * size * about >= span), 10 * size)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def powers(low: float, high: float, most: int = 7) -> list[float]:
    """Powers of ten from `low` to `high`, not more than `most`."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    every = max(-(-(last - first + 1) // most), 1)
    return [10.0**exponent for exponent in range(first, last + 1, every)] or [low]


def labels(values: list[float]) -> list[str]:
    """As many digits as tell neighbours apart: 0.5, 1,500, 2e-05."""
    gap = min((b - a for a, b in itertools.pairwise(values)), default=0.0)
    largest = max(map(abs, values), default=0.0)
    if largest >= 1e6 or (0 < largest < 1e-3):
        return [f"{value:.3g}" for value in values]
    fine = gap or largest
    digits = max(-math.floor(math.log10(fine) + 1e-9), 0) if fine > 0 else 0
    return [f"{value:,.{min(digits, 9)}f}" for value in values]
