"""Data that can only be read from its beginning on: every rank reads all of it, and keeps its part.

A sample's number is its place in the pass. So a step is the same samples on any ranks, as long as
the data come in the same order wherever and whenever they are begun: that is the script's to see
to. What a rank that joins or resumes has not read it reads over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from evener import usercode
from evener.data.dataset import Ids
from evener.data.order import Batch
from evener.errors import DataTooSmall
from evener.training.feed import Collate, collated
from evener.training.parts import wrong

_KEPT = 2  # global batches: after a break the last one is cut anew


class Passage:
    """The source and the order of such data in one. Its state is how long the passes were."""

    steps_per_epoch = 0  # nobody knows before the end

    def __init__(
        self,
        dataset: Iterable[Any],
        collate: Collate | None,
        global_batch: int,
        epochs: int | None,
        beat: Callable[[], None],
    ) -> None:
        self._dataset, self._collate, self._beat = dataset, collate, beat
        self._global_batch, self._epochs = global_batch, epochs
        self._name = type(dataset).__name__
        self._lengths: list[int] = []
        self._epoch, self._read = -1, 0
        self._reader: Iterator[Any] = iter(())
        self._window: deque[Any] = deque(maxlen=_KEPT * global_batch)

    def state_dict(self) -> dict[str, Any]:
        return {"lengths": self._lengths}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._lengths = list(state["lengths"])

    def __len__(self) -> int:
        return sum(self._lengths[:1])

    def batch(self, cursor: int) -> Batch:
        """The step that begins where `cursor` samples have been consumed; an empty one past the
        last pass."""
        epoch, start = self._place(cursor)
        if self._epochs is not None and epoch >= self._epochs:
            return Batch(epoch, 0, 0)
        self._reach(epoch, start + self._global_batch)
        if epoch == len(self._lengths):
            return Batch(epoch, start, start + self._global_batch)
        if start == self._lengths[epoch]:
            return self.batch(cursor)  # it ended with the batch before
        return Batch(epoch, start, min(start + self._global_batch, self._lengths[epoch]))

    def ids(self, epoch: int, start: int, stop: int) -> Ids:
        return np.arange(start, stop)

    def fetch(self, ids: Ids, epoch: int) -> Any:
        first, last = int(ids[0]), int(ids[-1])
        self._reach(epoch, last + 1)
        if self._epoch != epoch or first < self._read - len(self._window):
            self._begin(epoch)
            self._reach(epoch, last + 1)
        offset = first - (self._read - len(self._window))
        samples = [self._window[offset + i] for i in range(len(ids))]
        return collated(samples, self._collate, self._name)

    def _place(self, cursor: int) -> tuple[int, int]:
        for epoch, length in enumerate(self._lengths):
            if cursor < length:
                return epoch, cursor
            cursor -= length
        return len(self._lengths), cursor

    def _reach(self, epoch: int, read: int) -> None:
        """Read on, to so many samples of the pass or to its end. What is past is past."""
        if epoch < len(self._lengths) and (
            self._epoch > epoch or self._read == self._lengths[epoch]
        ):
            return
        if self._epoch != epoch:
            self._begin(epoch)
        while self._read < read:
            self._beat()
            sample = usercode.call(self._name, next, self._reader, _END)
            if sample is _END:
                self._ended()
                return
            self._window.append(sample)
            self._read += 1

    def _begin(self, epoch: int) -> None:
        if callable(tell := getattr(self._dataset, "set_epoch", None)):
            usercode.call(self._name, tell, epoch)
        self._reader = usercode.call(self._name, iter, self._dataset)
        self._epoch, self._read = epoch, 0
        self._window.clear()

    def _ended(self) -> None:
        if self._read == 0:
            raise DataTooSmall(f"{self._name} has no samples", where=self._name, fix="add some")
        if self._epoch == len(self._lengths):
            self._lengths.append(self._read)


_END = object()


def passage_of(
    dataset: Any,
    collate: Collate | None,
    global_batch: int,
    epochs: int | None,
    beat: Callable[[], None],
) -> Passage:
    """Raises, at the user's line, where it cannot be begun again."""
    if isinstance(dataset, Iterator):
        raise wrong(
            f"run.batches was given a {type(dataset).__name__}, which can be read only once",
            "give it something whose __iter__ begins anew, on every machine alike",
        )
    return Passage(dataset, collate, global_batch, epochs, beat)
