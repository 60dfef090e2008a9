"""Forward and backward for the clock alone: how long so many samples take a rank by itself.

Nothing of it stays: gradients, buffers and progress are afterwards as they were before.
"""

from __future__ import annotations

from time import perf_counter

import numpy as np

from evener.data.loader import Request, Stream
from evener.data.sources import Source
from evener.engine.step import forward
from evener.engine.task import Piece
from evener.engine.worker import Worker
from evener.rank import device as devices

REHEARSAL = 2**32 - 1  # an epoch of its own, which no training comes to


def rehearse(worker: Worker, source: Source, samples: int, micro_batch: int | None = None) -> float:
    """Seconds to fetch the first `samples` and to pass them, in pieces of `micro_batch`.

    Raises what a step would: an out-of-memory error of the device above all.
    """
    undo = worker.remember_buffers()
    size = micro_batch or samples
    began = perf_counter()
    try:
        for start in range(0, samples, size):
            ids = np.arange(start, min(start + size, samples)) % len(source)
            with Stream(source, iter([Request(0, REHEARSAL, ids)]), 0, 1) as stream:
                batch = next(stream)[1]
            assert batch is not None
            worker.last_piece = len(ids)
            piece = Piece(batch, len(ids), 0, REHEARSAL, start, samples)
            forward(worker, piece).sum.backward()
        devices.synchronize(worker.device)
        return perf_counter() - began
    finally:
        undo()
        worker.zero_grad()
