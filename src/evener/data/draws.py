"""Random numbers that belong to a sample: a hash of (seed, epoch, sample), not a generator's turn.

Whoever computes a sample, in whatever company and order, draws the same numbers for it. Only
integer arithmetic and correctly rounded operations are used, so every machine gets the same bits,
today and in later versions: checkpoints and results depend on it.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
Reals = npt.NDArray[np.float64]

_MASK = 2**64 - 1
_BELL_SCALE = math.sqrt(3) / 65536
_STEP = 0x9E3779B97F4A7C15  # splitmix64's increment: 2**64 divided by the golden ratio
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def mix(words: Words) -> Words:
    """splitmix64's finaliser: a bijection of 64-bit words in which every bit moves every other."""
    out = words ^ (words >> np.uint64(30))
    out *= np.uint64(_FIRST)
    out ^= out >> np.uint64(27)
    out *= np.uint64(_SECOND)
    out ^= out >> np.uint64(31)
    return out


def key(*numbers: int) -> int:
    """One 64-bit word from a few integers; their order counts."""
    word = 0
    for number in numbers:
        word = (word ^ (number & _MASK)) + _STEP & _MASK
        word = (word ^ word >> 30) * _FIRST & _MASK
        word = (word ^ word >> 27) * _SECOND & _MASK
        word ^= word >> 31
    return word


def words(stream: int, counters: npt.NDArray[np.int64]) -> Words:
    """The words number `counters` of the stream that starts at `stream` (a `key`)."""
    positions = counters.astype(np.uint64)
    positions *= np.uint64(_STEP)
    positions += np.uint64(stream)
    return mix(positions)


def bell(raw: Words) -> Reals:
    """Mean 0, variance 1, never beyond 3.5: the sum of a word's four 16-bit parts.

    Close to normal where only the spread matters, and made without a logarithm, whose last bit
    differs between machines.
    """
    low = np.uint64(0xFFFF)
    total = raw & low
    for shift in (16, 32, 48):
        total += (raw >> np.uint64(shift)) & low
    return (total.astype(np.float64) - 2 * 65535) * _BELL_SCALE


class Draws:
    """The numbers that belong to samples `ids` in one epoch; `purpose` tells draws apart."""

    def __init__(self, seed: int, epoch: int, ids: npt.NDArray[np.int64]) -> None:
        self._seed = seed
        self._epoch = epoch
        self._ids = ids

    def bits(self, purpose: int) -> Words:
        return words(key(self._seed, self._epoch, purpose), self._ids)

    def uniform(self, purpose: int, low: float = 0.0, high: float = 1.0) -> Reals:
        """At least `low`, below `high`."""
        unit = (self.bits(purpose) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return low + unit * (high - low)

    def integers(self, purpose: int, bound: int) -> npt.NDArray[np.int64]:
        """0 to `bound` - 1; `bound` is below 2**32, and the bias below one in 2**32."""
        high = self.bits(purpose) >> np.uint64(32)
        return ((high * np.uint64(bound)) >> np.uint64(32)).astype(np.int64)
