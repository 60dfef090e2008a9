"""`start`: takes this process's place in a run, or a place of its own where nobody started it."""

from __future__ import annotations

import multiprocessing
import random

import numpy as np
import torch

from evener import usercode
from evener.engine import seat
from evener.errors import ScriptMistaken
from evener.training.alone import AloneSeat
from evener.training.run import Run

_DRAWN_FROM = 2**32  # numpy's seeds are below


def start(*, seed: int | None = None) -> Run:
    """Begin: under `evener run` as one rank of the run, under plain `python` alone.

    Call it once, before the model is built: it seeds torch, numpy and random alike everywhere, so
    that all ranks, and the script run alone, draw the same weights. `seed` is that of the whole
    training, the order of samples included; the job's `train.seed` goes before it. A rank that is
    to replace others waits here until it is needed, so import and load above it what takes long.
    """
    if multiprocessing.parent_process() is not None:
        raise ScriptMistaken(
            "a loader process has imported the script, and would train too",
            where=usercode.calling_line(),
            fix='put all that trains under: if __name__ == "__main__":',
        )
    place = seat.current() or AloneSeat()
    place.take()
    train = place.job.train
    if seed is not None and "seed" not in train.model_fields_set:
        train = train.model_copy(update={"seed": seed})
    random.seed(train.seed)
    np.random.seed(train.seed % _DRAWN_FROM)  # the script may draw from it
    torch.manual_seed(train.seed)
    return Run(place, place.job.model_copy(update={"train": train}))
