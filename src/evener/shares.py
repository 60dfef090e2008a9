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
_LEAST_SLOPE = 0.3  # of a rehearsal's time: what a sample costs at the least, by two of them
_LEAST_FIXED = 0.02  # of the shorter rehearsal's time
_FAIR_PART = 0.25  # of an even part of the work: who does as much is worth having anywhere
_QUANTA, _ROUNDING = 4, 0.02  # shares of fewer quanta are not rounded, nor at a higher cost


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


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a rank may be given. A share is a multiple of `quantum` where that costs next to
    nothing: an accelerator that meets a new shape may have to compile."""

    least: int = 0
    most: int | None = None
    quantum: int = 1


def solve(
    speeds: Sequence[Speed], total: int, bounds: Sequence[Bounds] | None = None
) -> tuple[int, ...]:
    """The shares of `total` whose slowest rank is fastest; a rank may get none.

    Bisection finds the longest time that is too short for all samples; the few left after it go
    one by one to whoever finishes first with one more (ties: the lower index). This is the
    optimum over integers, because a rank's cost only grows with its share.
    """
    limits = _limits(speeds, total, bounds)
    low, high = 0.0, max((s.time_s(total) for s in speeds), default=0.0)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if sum(_within(speeds, limits, middle)) <= total:
            low = middle
        else:
            high = middle
    cut = _handed_out(speeds, _within(speeds, limits, low), total, [most for _, most in limits])
    return cut if bounds is None else _rounded(speeds, cut, total, limits, bounds)


_Limits = tuple[tuple[int, int], ...]


def _limits(speeds: Sequence[Speed], total: int, bounds: Sequence[Bounds] | None) -> _Limits:
    asked = [Bounds()] * len(speeds) if bounds is None else bounds
    if len(asked) != len(speeds):
        raise ValueError(f"{len(asked)} bounds for {len(speeds)} ranks")
    most = [total if b.most is None else max(0, min(b.most, total)) for b in asked]
    least = [max(0, min(b.least, m)) for b, m in zip(asked, most, strict=True)]
    if total < 0 or not sum(least) <= total <= sum(most):
        raise ValueError(
            f"{len(speeds)} ranks may take {sum(least)} to {sum(most)} samples, not {total}"
        )
    return tuple(zip(least, most, strict=True))


def _within(speeds: Sequence[Speed], limits: _Limits, time_s: float) -> list[int]:
    """How many samples each rank finishes in `time_s`, or has to take."""
    done = (
        math.floor((time_s - s.fixed_s) / s.per_sample_s) if time_s > s.fixed_s else 0
        for s in speeds
    )
    return [max(least, min(most, n)) for n, (least, most) in zip(done, limits, strict=True)]


def _handed_out(
    speeds: Sequence[Speed], cut: list[int], total: int, most: Sequence[int]
) -> tuple[int, ...]:
    for _ in range(total - sum(cut)):
        open_ranks = [i for i, n in enumerate(cut) if n < most[i]]
        cut[min(open_ranks, key=lambda i: speeds[i].time_s(cut[i] + 1))] += 1
    return tuple(cut)


def _rounded(
    speeds: Sequence[Speed],
    cut: tuple[int, ...],
    total: int,
    limits: _Limits,
    bounds: Sequence[Bounds],
) -> tuple[int, ...]:
    """Down to whole quanta, what is over to the others; as it was where that costs anything."""
    coarse = [i for i, b in enumerate(bounds) if b.quantum > 1 and cut[i] >= _QUANTA * b.quantum]
    if coarse and len(coarse) == len(cut):  # somebody must take what is over
        coarse.remove(max(coarse, key=lambda i: cut[i]))
    lower = [n - n % bounds[i].quantum if i in coarse else n for i, n in enumerate(cut)]
    if any(n < least for n, (least, _) in zip(lower, limits, strict=True)):
        return cut
    most = [lower[i] if i in coarse else limits[i][1] for i in range(len(cut))]
    if sum(most) < total:
        return cut
    rounded = _handed_out(speeds, lower, total, most)
    dearer = step_time(speeds, rounded) > (1 + _ROUNDING) * step_time(speeds, cut)
    return cut if dearer else rounded


def step_time(speeds: Sequence[Speed], shares: Sequence[int]) -> float:
    """Seconds until the slowest rank has computed its share."""
    return max((s.time_s(n) for s, n in zip(speeds, shares, strict=True)), default=0.0)


def revise(
    current: Sequence[int],
    speeds: Sequence[Speed],
    total: int,
    min_gain: float,
    bounds: Sequence[Bounds] | None = None,
) -> tuple[int, ...]:
    """The best shares, or `current` where they would save no more than `min_gain` of a step.

    Shares that change with every breath of noise cost more than they gain. `current` that does
    not cut `total` among these ranks (one joined or left) is not kept.
    """
    best = solve(speeds, total, bounds)
    kept = tuple(current)
    if len(kept) != len(speeds) or sum(kept) != total or any(n < 0 for n in kept):
        return best
    gained = step_time(speeds, kept) - step_time(speeds, best)
    return best if gained > min_gain * step_time(speeds, kept) else kept


def team(
    speeds: Sequence[Speed], total: int, least_gain: float, exchange_s: float = 0.0
) -> tuple[bool, ...]:
    """Who is worth having: with whom the steps are the fastest, but for those who add next to
    nothing. `exchange_s` is what a step costs on top as soon as there are two.

    In a crowd everybody adds little, so who does a decent part of an even share always counts.
    """
    fastest = sorted(range(len(speeds)), key=lambda i: speeds[i].time_s(total))
    times = [_together_s(speeds, fastest[: k + 1], total, exchange_s) for k in range(len(fastest))]
    count = min(range(len(times)), key=lambda k: times[k], default=-1) + 1
    while count > 1 and times[count - 2] / times[count - 1] - 1 < _worth(least_gain, count):
        count -= 1
    return tuple(i in fastest[:count] for i in range(len(speeds)))


def gain(speeds: Sequence[Speed], total: int, index: int, exchange_s: float = 0.0) -> float:
    """What one rank adds to the speed of the others, as a part of that; below 0 it costs."""
    everyone = list(range(len(speeds)))
    others = [i for i in everyone if i != index]
    if not others:
        return math.inf
    without = _together_s(speeds, others, total, exchange_s)
    return without / _together_s(speeds, everyone, total, exchange_s) - 1


def _together_s(
    speeds: Sequence[Speed], members: Sequence[int], total: int, exchange_s: float
) -> float:
    chosen = [speeds[i] for i in members]
    return step_time(chosen, solve(chosen, total)) + (exchange_s if len(chosen) > 1 else 0.0)


def _worth(least_gain: float, count: int) -> float:
    return min(least_gain, _FAIR_PART / count)


def from_rehearsals(small: tuple[int, float], near: tuple[int, float]) -> Speed:
    """The line through two measured `(samples, seconds)`, the second near the share to come.

    Two measurements may lie in any way. What is certain: a sample costs something, and so does
    a step without one.
    """
    (n1, t1), (n2, t2) = small, near
    mean_s = t2 / n2
    slope = (t2 - t1) / (n2 - n1) if n2 > n1 else mean_s
    slope = max(_LEAST_SLOPE * mean_s, min(slope, mean_s))
    return Speed(max(t2 - slope * n2, _LEAST_FIXED * t1), slope)


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
