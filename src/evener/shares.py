"""How many samples of the global batch each rank computes: speeds in, integer shares out.

The model of a rank is a line: n samples take `fixed_s + per_sample_s * n`, none take nothing.
Every rank runs these functions on the same numbers and must reach the same shares without asking
the others, whatever its platform and Python. So the arithmetic is one operation after another on
floats: no `**` (it is the C library's), no `sum` of floats (Python 3.12 changed its rounding).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

_HALVINGS = 100  # more than a double has bits: the bisection ends at neighbouring floats
_DECAY = 0.85  # weight of a sample against the next newer one
_RIDGE = 0.05  # pull towards the previous line, in squared relative errors
_STEEPEST_DROP = 0.1  # one fit may cut the cost of a sample to no less than this part of it
_LEAST_PART = 1e-3  # nor below this part of the whole time: nobody's samples are free
_DEPARTURE = 0.2  # a relative error of a prediction that noise does not explain


@dataclass(frozen=True, slots=True)
class Speed:
    """What a step costs a rank: `fixed_s` once, `per_sample_s` for each of its samples."""

    fixed_s: float
    per_sample_s: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.fixed_s) and self.fixed_s >= 0):
            raise ValueError(f"fixed_s is {self.fixed_s}; it must be finite and not negative")
        if not (math.isfinite(self.per_sample_s) and self.per_sample_s > 0):
            raise ValueError(f"per_sample_s is {self.per_sample_s}; it must be finite and above 0")

    def time_s(self, samples: int) -> float:
        return self.fixed_s + self.per_sample_s * samples if samples else 0.0


def split(weights: Sequence[float], total: int) -> tuple[int, ...]:
    """`total` in proportion to `weights`, by largest remainder; ties go to the lower index.

    Exact (fractions, not floats), so scaling the weights by a power of two changes nothing.
    Weights that are all zero count as equal.
    """
    if total < 0 or (total and not weights):
        raise ValueError(f"cannot split {total} among {len(weights)}")
    if any(not math.isfinite(w) or w < 0 for w in weights):
        raise ValueError(f"weights must be finite and not negative: {list(weights)}")
    exact = [Fraction(w) for w in weights]
    if not any(exact):
        exact = [Fraction(1)] * len(weights)
    whole = sum(exact, Fraction(0))
    quotas = [w * total / whole for w in exact]
    shares = [math.floor(q) for q in quotas]
    left = total - sum(shares)
    by_remainder = sorted(range(len(quotas)), key=lambda i: shares[i] - quotas[i])
    for index in by_remainder[:left]:
        shares[index] += 1
    return tuple(shares)


def solve(
    speeds: Sequence[Speed], total: int, caps: Sequence[int | None] | None = None
) -> tuple[int, ...]:
    """The shares of `total` whose slowest rank is fastest; a rank may get none.

    Bisection finds the longest time that is too short for all samples; the few left after it go
    one by one to whoever finishes first with one more (ties: the lower index). This is the
    optimum over integers, because a rank's cost only grows with its share.
    """
    limits = _limits(speeds, total, caps)
    low, high = 0.0, max((s.time_s(total) for s in speeds), default=0.0)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if sum(_within(speeds, limits, middle)) <= total:
            low = middle
        else:
            high = middle
    shares = _within(speeds, limits, low)
    for _ in range(total - sum(shares)):
        open_ranks = [i for i, n in enumerate(shares) if n < limits[i]]
        shares[min(open_ranks, key=lambda i: speeds[i].time_s(shares[i] + 1))] += 1
    return tuple(shares)


def _limits(
    speeds: Sequence[Speed], total: int, caps: Sequence[int | None] | None
) -> tuple[int, ...]:
    asked = [None] * len(speeds) if caps is None else caps
    if len(asked) != len(speeds):
        raise ValueError(f"{len(asked)} caps for {len(speeds)} ranks")
    limits = tuple(total if c is None else max(0, min(c, total)) for c in asked)
    if total < 0 or sum(limits) < total:
        raise ValueError(f"{len(speeds)} ranks may take {sum(limits)} samples, not {total}")
    return limits


def _within(speeds: Sequence[Speed], limits: Sequence[int], time_s: float) -> list[int]:
    """How many samples each rank finishes in `time_s`."""
    return [
        min(limit, math.floor((time_s - s.fixed_s) / s.per_sample_s)) if time_s > s.fixed_s else 0
        for s, limit in zip(speeds, limits, strict=True)
    ]


def step_time(speeds: Sequence[Speed], shares: Sequence[int]) -> float:
    """Seconds until the slowest rank has computed its share."""
    return max((s.time_s(n) for s, n in zip(speeds, shares, strict=True)), default=0.0)


def revise(
    current: Sequence[int], speeds: Sequence[Speed], total: int, min_gain: float
) -> tuple[int, ...]:
    """The best shares, or `current` where they would save no more than `min_gain` of a step.

    Shares that change with every breath of noise cost more than they gain. `current` that does
    not cut `total` among these ranks (one joined or left) is not kept.
    """
    best = solve(speeds, total)
    kept = tuple(current)
    if len(kept) != len(speeds) or sum(kept) != total or any(n < 0 for n in kept):
        return best
    gained = step_time(speeds, kept) - step_time(speeds, best)
    return best if gained > min_gain * step_time(speeds, kept) else kept


def departs(speed: Speed, samples: int, time_s: float) -> bool:
    """Whether a measured time says that `speed` no longer holds (a machine throttled or freed).

    The caller then forgets older samples: fit on the newest alone rescales the line, and so
    reacts within one window instead of averaging two regimes.
    """
    return samples > 0 and abs(time_s / speed.time_s(samples) - 1) > _DEPARTURE


def fit(previous: Speed, samples: Sequence[tuple[int, float]]) -> Speed:
    """The line through measured `(samples, seconds)`, oldest first, near the previous line.

    Least squares of relative errors, older samples counting less. The previous line is first
    scaled to the samples and then a weak prior: where all samples are of one size, nothing can
    be said about fixed against per-sample cost, and the scaled line itself comes out. Samples of
    nothing, or without a time, are left out; with none left the previous line stays.
    """
    usable = [(n, t) for n, t in samples if n > 0 and t > 0 and math.isfinite(t)]
    if not usable:
        return previous
    weights = _weights(len(usable))
    prior = _scaled(previous, usable, weights)
    size = usable[-1][0]
    unit_s = prior.time_s(size)
    # Both unknowns as parts of the time at `size`: rows of (fixed, samples), each aiming at 1.
    rows = [(unit_s / t, unit_s / t * n / size) for n, t in usable]
    parts = (prior.fixed_s / unit_s, prior.per_sample_s * size / unit_s)
    fixed, slope = _solve_rows(rows, weights, parts)
    return Speed(fixed * unit_s, slope * unit_s / size)


def _weights(count: int) -> list[float]:
    weights = [1.0]
    while len(weights) < count:
        weights.append(weights[-1] * _DECAY)
    return weights[::-1]


def _scaled(speed: Speed, samples: Sequence[tuple[int, float]], weights: Sequence[float]) -> Speed:
    """`speed` times the one factor that fits the samples best, in relative error."""
    ratios = [speed.time_s(n) / t for n, t in samples]
    over = math.fsum(w * r for w, r in zip(weights, ratios, strict=True))
    under = math.fsum(w * r * r for w, r in zip(weights, ratios, strict=True))
    factor = over / under
    return Speed(speed.fixed_s * factor, speed.per_sample_s * factor)


def _solve_rows(
    rows: Sequence[tuple[float, float]], weights: Sequence[float], prior: tuple[float, float]
) -> tuple[float, float]:
    """Ridge regression of two unknowns towards the prior, kept in their valid range."""
    prior_fixed, prior_slope = prior
    pairs = list(zip(rows, weights, strict=True))
    ff = math.fsum(w * f * f for (f, _), w in pairs) + _RIDGE
    fs = math.fsum(w * f * s for (f, s), w in pairs)
    ss = math.fsum(w * s * s for (_, s), w in pairs) + _RIDGE
    f1 = math.fsum(w * f for (f, _), w in pairs) + _RIDGE * prior_fixed
    s1 = math.fsum(w * s for (_, s), w in pairs) + _RIDGE * prior_slope
    determinant = ff * ss - fs * fs  # above 0: the ridge sees to it
    fixed = (f1 * ss - s1 * fs) / determinant
    slope = (s1 * ff - f1 * fs) / determinant
    if fixed < 0:
        fixed, slope = 0.0, s1 / ss
    least = min(prior_slope, max(_STEEPEST_DROP * prior_slope, _LEAST_PART))
    if slope < least:
        slope = least
        fixed = max(0.0, (f1 - slope * fs) / ff)
    return fixed, slope
