"""ResNet is torchvision's by name and shape, with a stem that leaves small images something."""

from __future__ import annotations

import importlib.util
import math
from typing import Literal

import pytest
import torch
from torch import nn

from evener.config.models import Resnet
from evener.models import build_model
from evener.models.vision import import_torchvision
from evener.shape import Shape

IMAGENET = Shape("image", (3, 224, 224), 1000)
CIFAR = Shape("image", (3, 32, 32), 10)
Name = Literal["resnet18", "resnet50"]

# Of torchvision 0.28: the names and shapes that a file of weights is matched by.
COUNTS: dict[Name, tuple[int, int]] = {"resnet18": (11_689_512, 122), "resnet50": (25_557_032, 320)}
SHAPES: dict[Name, dict[str, tuple[int, ...]]] = {
    "resnet18": {
        "conv1.weight": (64, 3, 7, 7),
        "bn1.running_mean": (64,),
        "layer1.0.conv1.weight": (64, 64, 3, 3),
        "layer2.0.downsample.0.weight": (128, 64, 1, 1),
        "layer2.0.downsample.1.num_batches_tracked": (),
        "layer4.1.bn2.running_var": (512,),
        "fc.weight": (1000, 512),
        "fc.bias": (1000,),
    },
    "resnet50": {
        "conv1.weight": (64, 3, 7, 7),
        "layer1.0.downsample.0.weight": (256, 64, 1, 1),
        "layer2.0.conv2.weight": (128, 128, 3, 3),
        "layer3.5.conv3.weight": (1024, 256, 1, 1),
        "layer4.2.bn3.weight": (2048,),
        "fc.weight": (1000, 2048),
    },
}


def build(name: Name, shape: Shape) -> nn.Module:
    return build_model(Resnet(name=name), shape)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_names_and_shapes_are_torchvisions(name: Name) -> None:
    model = build(name, IMAGENET)
    own = {n: tuple(t.shape) for n, t in model.state_dict().items()}
    parameters = sum(p.numel() for p in model.parameters())
    assert (parameters, len(own)) == COUNTS[name]
    assert own.items() >= SHAPES[name].items()
    stages = ("conv1.", "bn1.", "layer1.", "layer2.", "layer3.", "layer4.", "fc.")
    assert all(n.startswith(stages) for n in own)


@pytest.mark.skipif(
    importlib.util.find_spec("torchvision") is None, reason="torchvision is not installed"
)
@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_weights_of_torchvisions_load_strictly_and_answer_alike(name: Name) -> None:
    torch.manual_seed(0)
    theirs = import_torchvision().models.get_model(name, weights=None, num_classes=7)
    ours = build_model(Resnet(name=name), Shape("image", (3, 64, 64), 7))
    ours.load_state_dict(theirs.state_dict(), strict=True)
    images = torch.randn(2, 3, 64, 64)
    assert torch.allclose(ours.eval()(images), theirs.eval()(images), atol=1e-5)


def test_small_images_get_the_small_stem() -> None:
    small = build("resnet18", CIFAR)
    assert small.get_parameter("conv1.weight").shape == (64, 3, 3, 3)
    assert isinstance(small.get_submodule("maxpool"), nn.Identity)
    # the count that is published for ResNet-18 on CIFAR-10
    assert sum(p.numel() for p in small.parameters()) == 11_173_962


@pytest.mark.parametrize(
    ("height", "width", "kernel"), [(63, 200, 3), (64, 64, 7), (200, 63, 3), (224, 224, 7)]
)
def test_the_shorter_side_decides_the_stem(height: int, width: int, kernel: int) -> None:
    model = build("resnet18", Shape("image", (1, height, width), 10))
    assert model.get_parameter("conv1.weight").shape == (64, 1, kernel, kernel)


def test_convolutions_begin_with_the_variance_of_their_fan_out() -> None:
    torch.manual_seed(0)
    weight = build_model(Resnet(name="resnet18"), CIFAR).get_parameter("layer4.0.conv1.weight")
    assert weight.shape == (512, 256, 3, 3)
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (512 * 9)), rel=0.01)
    assert abs(weight.mean().item()) < 1e-4
