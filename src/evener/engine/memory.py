"""Where a device's memory does not do for a share at once: in smaller pieces, until it does."""

from __future__ import annotations

import torch

from evener.engine.training import Training
from evener.events import Alert


def smaller_pieces(training: Training, error: torch.OutOfMemoryError) -> None:
    """Halve what this rank puts through the model at once; raises `error` again where a single
    sample is too much. The step in flight never happened, and is done again."""
    size = training.worker.last_piece
    if size <= 1:
        raise error
    training.micro_batch = size // 2
    if training.worker.device.type == "cuda":
        torch.cuda.empty_cache()
    text = f"its memory did not do for {size} samples at once: {size // 2} from now on"
    training.reporter.emit(Alert("note", text, training.rank))
