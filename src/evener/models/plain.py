"""The plain models: one linear layer, a perceptron, a small convolutional network."""

from __future__ import annotations

import itertools
import math

from torch import Tensor, nn

from evener.config.models import Linear, Mlp, SimpleCnn
from evener.errors import BadCombination
from evener.shape import Shape

_CHANNELS = (32, 64)
_HIDDEN = 128
_LEAST_SIDE = 4  # two poolings halve it twice


class LinearModel(nn.Module):
    """One linear layer on the flattened sample."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear(x.flatten(1))
        return out


class MlpModel(nn.Module):
    """Linear, ReLU and dropout for every hidden width, then one linear layer."""

    def __init__(self, widths: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths[:-1]):
            layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x.flatten(1))
        return out


class SimpleCnnModel(nn.Module):
    """Twice convolution, ReLU and pooling, then two linear layers."""

    def __init__(self, image: tuple[int, int, int], outputs: int, dropout: float) -> None:
        super().__init__()
        channels, height, width = image
        first, second = _CHANNELS
        self.features = nn.Sequential(
            nn.Conv2d(channels, first, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(first, second, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Linear(second * (height // 4) * (width // 4), _HIDDEN), nn.ReLU(),
            nn.Dropout(dropout), nn.Linear(_HIDDEN, outputs),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.classifier(self.features(x).flatten(1))
        return out


def build_linear(config: Linear, shape: Shape) -> nn.Module:
    return LinearModel(math.prod(shape.input), shape.outputs)


def build_mlp(config: Mlp, shape: Shape) -> nn.Module:
    widths = (math.prod(shape.input), *config.hidden, shape.outputs)
    return MlpModel(widths, config.dropout)


def build_simple_cnn(config: SimpleCnn, shape: Shape) -> nn.Module:
    channels, height, width = shape.input
    if min(height, width) < _LEAST_SIDE:
        raise BadCombination(
            f"model 'simple_cnn' needs images of {_LEAST_SIDE} pixels a side or more; "
            f"the data gives {height}x{width}",
            where="model.name, data.name",
            fix='use model.name = "mlp" for images this small',
        )
    return SimpleCnnModel((channels, height, width), shape.outputs, config.dropout)
