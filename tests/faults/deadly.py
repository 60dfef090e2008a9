"""Data and a loss that kill their own rank, once, in a named phase, from a step on; or hang there.

What shall die is said in the environment, as `RANK:STEP:PHASE`, with a file that the one death
creates: whoever comes after finds it and lives. Several are parted by commas, each with a file of
its number behind that name. A fourth word says how: "kill", "hang" for a loop without an end that
keeps all other threads of the process from running, "gpu" for what torch raises when a GPU fails,
"clock" for one that is set back by an hour, which nobody dies of.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_pre_hook

from evener.shape import Shape

PHASES = ("data", "forward", "backward", "exchange", "optimizer")
_seen = {"steps": 0}


def _rank() -> int:
    """This rank's number: its log is where its standard error goes."""
    name = os.readlink(f"/proc/self/fd/{sys.stderr.fileno()}")  # noqa: PTH115
    stem = Path(name).stem
    return int(stem.removeprefix("rank_")) if stem.startswith("rank_") else -1


def _die_in(phase: str) -> None:
    for number, planned in enumerate(os.environ.get("DEADLY", "-1:0:none").split(",")):
        rank, step, wanted, *how = planned.split(":")
        if phase != wanted or _seen["steps"] < int(step) or _rank() != int(rank):
            continue
        try:
            Path(os.environ["DEADLY_ONCE"] + (str(number) if number else "")).touch(exist_ok=False)
        except FileExistsError:
            continue
        _HOW["".join(how) or "kill"]()


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _hold_all_threads() -> None:
    while True:
        ctypes.PyDLL(None).sleep(600)  # which a signal ends


def _fail_as_a_gpu() -> None:
    raise torch.AcceleratorError("CUDA error: unspecified launch failure")


def _set_the_clock_back() -> None:
    """This process's: the system's is everybody's here."""
    real = time.time
    time.time = lambda: real() - 3600


_HOW = {
    "kill": _kill,
    "hang": _hold_all_threads,
    "gpu": _fail_as_a_gpu,
    "clock": _set_the_clock_back,
}


def _in_optimizer(*_: Any) -> None:
    _die_in("optimizer")


register_optimizer_step_pre_hook(_in_optimizer)


class Numbers:
    """y is a fixed mix of x; sample i is the same in every process."""

    shape = Shape("features", (6,), 2)

    def __init__(self, samples: int, pause_s: float, *, training: bool) -> None:
        self._samples = samples
        self._pause_s = pause_s
        self._training = training

    def __len__(self) -> int:
        return self._samples

    def fetch(self, ids: Any, epoch: int) -> tuple[Tensor, Tensor]:
        if self._training:
            _seen["steps"] += 1
            _die_in("data")
            time.sleep(self._pause_s)
        x = torch.sin(torch.from_numpy(np.outer(ids + 1, np.arange(1.0, 7.0))))
        return x, torch.stack([x.sum(1), x[:, 0] * x[:, 1]], 1)


def build(split: str, samples: int = 97, pause_s: float = 0.0) -> Numbers:
    """`pause_s` in each step leaves a test time to do its harm."""
    training = split == "train"
    return Numbers(samples if training else 20, pause_s, training=training)


def loss(model: Any, batch: Any) -> Any:
    inputs, targets = batch
    if torch.is_grad_enabled():
        _die_in("forward")
    outputs = model(inputs)
    if outputs.requires_grad:
        outputs.register_hook(_in_backward)
        first = next(model.parameters())
        if not hasattr(first, "watched"):
            first.watched = True
            first.register_post_accumulate_grad_hook(_in_exchange)
    return (outputs - targets).pow(2).sum(), targets.numel()


def _in_backward(gradient: Tensor) -> None:
    _die_in("backward")


def _in_exchange(parameter: Tensor) -> None:
    """The first parameter's gradient is the last: other buckets are already on their way."""
    _die_in("exchange")
