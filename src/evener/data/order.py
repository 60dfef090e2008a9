"""Which samples make up a step: a function of (seed, epoch, position) and of nothing else.

The state of a run holds one cursor, the samples consumed since it began. An epoch is a
permutation that can be asked at any position, so no list is kept, a resume costs nothing, and it
is the same for any number of ranks. An uncommitted step does not move the cursor: that is how
every sample is used exactly once in an epoch, whatever joins and leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt

from evener import shares
from evener.data import draws

_PURPOSE = 0x0BDE5  # keeps these keys apart from every other use of the seed
_ROUNDS = 8  # even: the halves end where they began; 6 still show in a few dozen samples
_CHUNK = 8192  # positions computed at once; in order, a step costs a slice


@dataclass(frozen=True, slots=True)
class Batch:
    """Positions `start` to `stop` of an epoch."""

    epoch: int
    start: int
    stop: int

    @property
    def size(self) -> int:
        return self.stop - self.start


class Ordering(Protocol):
    """What training goes by: `Order`, or an order that only reading tells."""

    @property
    def steps_per_epoch(self) -> int: ...

    def batch(self, cursor: int) -> Batch: ...

    def ids(self, epoch: int, start: int, stop: int) -> npt.NDArray[np.int64]: ...


@dataclass(frozen=True, slots=True)
class Order:
    """The order of all samples for ever. The last batch of an epoch is what is left of it."""

    samples: int
    global_batch: int
    seed: int
    shuffled: bool = True

    def __post_init__(self) -> None:
        if self.samples < 1 or self.global_batch < 1:
            raise ValueError(f"no order of {self.samples} samples by {self.global_batch}")

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.samples // self.global_batch)

    def batch(self, cursor: int) -> Batch:
        """The step that begins where `cursor` samples have been consumed."""
        epoch, start = divmod(cursor, self.samples)
        return Batch(epoch, start, min(start + self.global_batch, self.samples))

    def cursor_of_step(self, step: int) -> int:
        """Samples consumed before `step`, counted from 0."""
        epoch, batches = divmod(step, self.steps_per_epoch)
        return epoch * self.samples + batches * self.global_batch

    def ids(self, epoch: int, start: int, stop: int) -> npt.NDArray[np.int64]:
        """The samples at positions `start` to `stop` of `epoch`."""
        if not 0 <= start <= stop <= self.samples:
            raise ValueError(f"positions {start} to {stop} of {self.samples}")
        if not self.shuffled:
            return np.arange(start, stop)
        out = np.empty(stop - start, np.int64)
        for chunk in range(start // _CHUNK, -(-stop // _CHUNK)):
            first = chunk * _CHUNK
            low, high = max(start, first), min(stop, first + _CHUNK)
            known = _chunk(self.samples, self.seed, epoch, chunk)
            out[low - start : high - start] = known[low - first : high - first]
        return out


def cut(batch: Batch, parts: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Each rank's (start, stop) of `batch`, in the order of ranks.

    `parts` are shares of a whole global batch; a batch of another size (the tail of an epoch) is
    cut in their proportion.
    """
    sizes = tuple(parts) if sum(parts) == batch.size else shares.split(parts, batch.size)
    return tuple(pairwise(accumulate(sizes, initial=batch.start)))


@lru_cache(maxsize=16)
def _chunk(samples: int, seed: int, epoch: int, index: int) -> npt.NDArray[np.int64]:
    first = index * _CHUNK
    positions = np.arange(first, min(first + _CHUNK, samples), dtype=np.uint64)
    return _permute(positions, samples, seed, epoch).astype(np.int64)


def _permute(positions: draws.Words, size: int, seed: int, epoch: int) -> draws.Words:
    """Where a permutation of range(size) sends `positions`.

    A Feistel network permutes the next power of two; what it sends outside of the range is sent
    on until it is inside (cycle walking). That is a permutation of the range, too.
    """
    bits = max(4, (size - 1).bit_length())
    keys = [draws.key(seed, _PURPOSE, epoch, r) for r in range(_ROUNDS)]
    out = _feistel(positions, bits, keys)
    while (outside := np.flatnonzero(out >= np.uint64(size))).size:
        out[outside] = _feistel(out[outside], bits, keys)
    return out


def _feistel(values: draws.Words, bits: int, keys: Sequence[int]) -> draws.Words:
    """A permutation of range(2**bits): each round is undone by itself, whatever it mixes in."""
    left_bits, right_bits = bits // 2, bits - bits // 2
    left, right = values >> np.uint64(right_bits), values & np.uint64((1 << right_bits) - 1)
    for round_key in keys:
        mixed = draws.mix(right + np.uint64(round_key)) & np.uint64((1 << left_bits) - 1)
        left, right = right, left ^ mixed
        left_bits, right_bits = right_bits, left_bits
    return (left << np.uint64(right_bits)) | right
