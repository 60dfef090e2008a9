"""The jobs that baselines and evener both train: the same model code, optimizer and batch sizes.

Models come from `evener.models`, so that a difference in time is a difference in the loop around
them. Data is what each side would use by itself: here, tensors in memory, drawn as nanoGPT does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from evener.config.schema import Gpt, Resnet
from evener.models import build_model
from evener.shape import Shape

VOCABULARY, BLOCK = 65, 64
Batch = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Case:
    """One job: its model, optimizer, global batch, and how a batch of `size` is drawn."""

    global_batch: int
    model: Callable[[], nn.Module]
    optimizer: Callable[[nn.Module], torch.optim.Optimizer]
    draw: Callable[[int], Batch]
    clip_norm: float | None = None


def loss_of(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy over samples, or over all tokens of all samples."""
    return cross_entropy(outputs.flatten(0, -2), targets.flatten())


def _gpt() -> Case:
    """nanoGPT's setting for one CPU: 0.8 M parameters, 768 tokens a step."""
    tokens = torch.randint(VOCABULARY, (1_000_000,))

    def draw(size: int) -> Batch:
        starts = torch.randint(len(tokens) - BLOCK, (size,)).tolist()
        inputs = torch.stack([tokens[i : i + BLOCK] for i in starts])
        return inputs, torch.stack([tokens[i + 1 : i + 1 + BLOCK] for i in starts])

    def optimizer(model: nn.Module) -> torch.optim.Optimizer:
        decayed = [p for p in model.parameters() if p.dim() >= 2]
        plain = [p for p in model.parameters() if p.dim() < 2]
        groups: list[dict[str, Any]] = [
            {"params": decayed},
            {"params": plain, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1)

    shape = Shape("tokens", (BLOCK,), VOCABULARY)
    return Case(12, lambda: build_model(Gpt(), shape), optimizer, draw, clip_norm=1.0)


def _resnet18() -> Case:
    """ResNet-18 on images of CIFAR's shape."""
    images, labels = torch.randn(1024, 3, 32, 32), torch.randint(10, (1024,))

    def draw(size: int) -> Batch:
        chosen = torch.randint(len(images), (size,))
        return images[chosen], labels[chosen]

    def optimizer(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)

    shape = Shape("image", (3, 32, 32), 10)
    return Case(32, lambda: build_model(Resnet(name="resnet18"), shape), optimizer, draw)


CASES: dict[str, Callable[[], Case]] = {"gpt": _gpt, "resnet18": _resnet18}
