"""A data set that writes down which sample was asked for, and by nobody else is it known.

Copied beside the job files of `exactness.py` and used as a person's own data would be.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import torch

from evener.engine.rehearse import REHEARSAL
from evener.shape import Shape

TOKENS, BLOCK = 32, 16


class Witness:
    """Sample i is a block of tokens drawn from i alone. One line in `log` for every fetch of it.

    `pause_s` makes every fetch slow; `slow_s` makes each sample slow in the one process that
    fetches first, as if it were the slower machine.
    """

    shape = Shape("tokens", (BLOCK,), TOKENS)

    def __init__(self, samples: int, log: str, pause_s: float, slow_s: float) -> None:
        self._samples = samples
        self._log = Path(log)
        self._pause_s = pause_s
        self._slow_s = slow_s
        self._first: bool | None = None

    def __len__(self) -> int:
        return self._samples

    def fetch(self, ids: np.ndarray, epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
        if epoch != REHEARSAL:  # what a rehearsal sees is fast, so that shares have to move later
            time.sleep(self._pause_s + self._own_slowness_s() * len(ids))
            self._note(ids, epoch)
        drawn = [torch.Generator().manual_seed(i) for i in ids.tolist()]
        rows = [torch.randint(TOKENS, (BLOCK + 1,), generator=g) for g in drawn]
        whole = torch.stack(rows)
        return whole[:, :-1], whole[:, 1:]

    def _note(self, ids: np.ndarray, epoch: int) -> None:
        """One append of a few hundred bytes is atomic: ranks do not tear each other's lines."""
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(log, "".join(f"{epoch} {i}\n" for i in ids.tolist()).encode())
        os.close(log)

    def _own_slowness_s(self) -> float:
        if self._slow_s > 0 and self._first is None:
            try:
                self._log.with_suffix(".slow").touch(exist_ok=False)
                self._first = True
            except FileExistsError:
                self._first = False
        return self._slow_s if self._first else 0.0


def build(
    split: str, samples: int, log: str, pause_s: float = 0.0, slow_s: float = 0.0
) -> Witness | None:
    return Witness(samples, log, pause_s, slow_s) if split == "train" else None
