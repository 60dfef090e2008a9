"""How a rank puts its part of a batch through the model: at once, or in pieces of a size.

A model with batch normalisation learns from the statistics of what it sees at once. If a fast rank
saw its large share at once and a slow one its small share, their noise would depend on speed; so
all see pieces of one size (a "ghost batch"), which does not change when shares move. Pieces are
nearly equal, and where it can be avoided none is of one sample: that has no variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from evener.config.schema import Train
from evener.data.order import Batch, cut

LEAST, MOST = 8, 32  # below, statistics are mostly noise; above, there is little left to gain

Span = tuple[int, int]  # positions in the epoch: start, stop


@dataclass(frozen=True, slots=True)
class Pieces:
    """One rank's part of one batch. A `ghost` only keeps the others company: it counts nothing."""

    spans: tuple[Span, ...]
    ghost: bool = False


@dataclass(frozen=True, slots=True)
class Cutting:
    """`size`: the most samples at once, all if None. `paired`: a sample alone has no statistics.
    `together`: every rank takes exactly one piece in a step. `ghosts`: one without samples takes a
    sample that counts nothing."""

    size: int | None = None
    paired: bool = False
    together: bool = False
    ghosts: bool = False

    def of(self, batch: Batch, shares: Sequence[int], index: int) -> Pieces:
        """The pieces of rank `index`; a single empty one if it has no samples."""
        parts = self.parts(batch, shares)
        start = batch.start + sum(parts[:index])
        stop = start + parts[index]
        if start == stop:
            ghost = (batch.start, batch.start + 1)
            return Pieces((ghost,), ghost=True) if self.ghosts else Pieces(((start, stop),))
        size = self.size or stop - start
        if self.paired:
            return Pieces(_even(start, stop, size))
        return Pieces(tuple((i, min(i + size, stop)) for i in range(start, stop, size)))

    def parts(self, batch: Batch, shares: Sequence[int]) -> tuple[int, ...]:
        """How many samples of `batch`, which may be an epoch's last, each rank takes."""
        return self.shares([b - a for a, b in cut(batch, shares)])

    def shares(self, shares: Sequence[int]) -> tuple[int, ...]:
        """The shares as they are really cut."""
        return accompany(shares) if self.paired else tuple(shares)


def cutting(train: Train, normed: bool, ranks: int) -> Cutting:
    """The way of a job; `normed` is whether its model has batch normalisation."""
    if not normed:
        return Cutting(train.micro_batch)
    if train.batchnorm == "sync":
        return Cutting(together=True, ghosts=True)
    return Cutting(train.micro_batch or ghost_size(train.global_batch, ranks), paired=True)


def ghost_size(global_batch: int, ranks: int) -> int:
    """What batch normalisation sees at once: an equal share, within bounds; alone, the batch."""
    if ranks == 1:
        return global_batch
    return min(global_batch, MOST, max(LEAST, -(-global_batch // ranks)))


def describe(way: Cutting) -> str:
    """For the record: what batch normalisation sees. Nothing where there is none."""
    if way.together:
        return "batch normalisation sees the whole batch, at two sums over all ranks per layer"
    if way.paired:
        return f"batch normalisation sees {way.size} samples at a time (train.micro_batch)"
    return ""


def accompany(shares: Sequence[int]) -> tuple[int, ...]:
    """No share of one: it gets a second sample of the largest, or else is given to it."""
    given = list(shares)
    while sum(given) > 1 and 1 in given:
        alone = len(given) - 1 - given[::-1].index(1)
        largest = max(range(len(given)), key=lambda i: (given[i], i != alone))
        move = 1 if given[largest] > 2 else -1
        given[largest] -= move
        given[alone] += move
    return tuple(given)


def _even(start: int, stop: int, size: int) -> tuple[Span, ...]:
    """Nearly equal pieces of `size` at most, the larger ones last: their backward hides more.

    An odd number in pieces of two ends with one of three, rather than with a sample alone.
    """
    samples = stop - start
    count = -(-samples // size)
    if size > 1:
        count = max(1, min(count, samples // 2))
    least, larger = divmod(samples, count)
    sizes = [least] * (count - larger) + [least + 1] * larger
    return tuple(pairwise(accumulate(sizes, initial=start)))
