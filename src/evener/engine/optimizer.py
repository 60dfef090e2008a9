"""The optimizer of a job, and its learning rate as a function of the global step."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable
from typing import TypeVar

import torch
from torch import nn

from evener.config.schema import Train

Kind = TypeVar("Kind", bound=torch.optim.Optimizer)


def _plain(kind: type[Kind]) -> type[Kind]:
    """As torch has it, but for what its methods do before their work: they import torch's compiler,
    to tell it that it need not look, and that takes a rank as long as half of torch itself."""
    own = {
        "step": torch.no_grad()(inspect.unwrap(kind.step)),
        "add_param_group": inspect.unwrap(kind.add_param_group),
    }
    return type(kind.__name__, (kind,), own)


SGD = _plain(torch.optim.SGD)
Adam = _plain(torch.optim.Adam)
AdamW = _plain(torch.optim.AdamW)


def build_optimizer(
    train: Train, parameters: Iterable[nn.Parameter], device: torch.device
) -> torch.optim.Optimizer:
    """Matrices and kernels decay; biases and norms, being of one dimension, do not."""
    wanted = [p for p in parameters if p.requires_grad]
    groups = [
        {"params": [p for p in wanted if p.dim() >= 2], "weight_decay": train.weight_decay},
        {"params": [p for p in wanted if p.dim() < 2], "weight_decay": 0.0},
    ]
    groups = [g for g in groups if g["params"]]
    fused = device.type in ("cpu", "cuda")  # one pass over memory where torch has it
    if train.optimizer == "sgd":
        return SGD(
            groups, lr=train.lr, momentum=train.momentum, nesterov=train.nesterov, fused=fused
        )
    kind = AdamW if train.optimizer == "adamw" else Adam
    return kind(groups, lr=train.lr, betas=train.betas, eps=train.eps, fused=fused)


def learning_rate(train: Train, step: int, total_steps: int) -> float:
    """The rate of step `step` (0 is the first), whoever computes it and whenever it resumes."""
    if step < train.warmup_steps:
        return train.lr * (step + 1) / (train.warmup_steps + 1)
    since = step - train.warmup_steps
    if train.schedule == "constant":
        return train.lr
    if train.schedule == "step":
        return float(train.lr * train.gamma ** (since // train.step_size))
    span = max(1, (train.decay_steps or total_steps) - train.warmup_steps)
    done = min(1.0, since / span)
    left = 0.5 * (1 + math.cos(math.pi * done)) if train.schedule == "cosine" else 1 - done
    return train.min_lr + left * (train.lr - train.min_lr)
