"""Models a user might bring: with batch normalisation, on a branch too."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from evener.shape import Shape


class Branching(nn.Module):
    """Two convolutions beside a third, and a layer whose statistics are one value per sample."""

    def __init__(self, shape: Shape, width: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(shape.input[0], width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.again = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width, affine=False)
        )
        self.beside = nn.Sequential(nn.Conv2d(width, width, 1), nn.BatchNorm2d(width))
        self.head = nn.Sequential(
            nn.Linear(width, 8), nn.BatchNorm1d(8, momentum=None), nn.Linear(8, shape.outputs)
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm(self.conv(x)))
        x = self.relu(self.again(x) + self.beside(x))
        out: Tensor = self.head(x.mean((2, 3)).view(x.shape[0], -1))
        return out


class Fickle(nn.Module):
    """In which order it passes its layers hangs on chance: no two ranks need agree."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.BatchNorm2d(shape.input[0]) for _ in range(2)])
        self.last = nn.Linear(shape.input[0], shape.outputs)

    def forward(self, x: Tensor) -> Tensor:
        first = int(torch.randint(2, ()))
        x = self.norms[1 - first](self.norms[first](x))
        out: Tensor = self.last(x.mean((2, 3)))
        return out


class OfOnesOwn(nn.BatchNorm2d):
    """Nobody knows what it does."""


def branching(shape: Shape) -> nn.Module:
    return Branching(shape)


def fickle(shape: Shape) -> nn.Module:
    return Fickle(shape)


def strange(shape: Shape) -> nn.Module:
    size = shape.input[0] * shape.input[1] * shape.input[2]
    return nn.Sequential(OfOnesOwn(shape.input[0]), nn.Flatten(), nn.Linear(size, shape.outputs))
