"""Every model of the job file builds, answers in the right shape, and refuses other data."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from evener.config.models import Model
from evener.errors import BadCombination, CodeNotImportable, CodeRaised, CodeReturnedWrong
from evener.models import build_model
from evener.shape import Shape

FEATURES = Shape("features", (5,), 2)
IMAGE = Shape("image", (1, 12, 12), 4)
TOKENS = Shape("tokens", (8,), 11)
TINY_GPT = {"name": "gpt", "block_size": 8, "n_layer": 1, "n_head": 2, "n_embd": 8}


def config(**values: Any) -> Any:
    return TypeAdapter(Model).validate_python(values)


def sample(shape: Shape, batch: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    if shape.kind == "tokens":
        return torch.randint(shape.outputs, (batch, *shape.input), generator=generator)
    return torch.randn(batch, *shape.input, generator=generator)


@pytest.mark.parametrize(
    ("table", "shape", "answer"),
    [
        ({"name": "linear"}, FEATURES, (3, 2)),
        ({"name": "linear"}, IMAGE, (3, 4)),
        ({"name": "mlp", "hidden": [7, 6]}, FEATURES, (3, 2)),
        ({"name": "mlp", "hidden": []}, IMAGE, (3, 4)),
        ({"name": "simple_cnn"}, IMAGE, (3, 4)),
        ({"name": "resnet18"}, IMAGE, (3, 4)),
        ({"name": "bigram"}, TOKENS, (3, 8, 11)),
        (TINY_GPT, TOKENS, (3, 8, 11)),
    ],
)
def test_a_model_answers_in_its_shape_and_learns_with_all_its_parameters(
    table: dict[str, Any], shape: Shape, answer: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    model = build_model(config(**table), shape)
    outputs = model(sample(shape))
    assert outputs.shape == answer
    assert torch.isfinite(outputs).all()
    outputs.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.dtype == torch.float32


@pytest.mark.parametrize(
    ("table", "shape"),
    [
        ({"name": "mlp"}, FEATURES),
        ({"name": "simple_cnn"}, IMAGE),
        ({"name": "resnet18"}, IMAGE),
        (TINY_GPT, TOKENS),
    ],
)
def test_a_model_can_be_made_64_bit(table: dict[str, Any], shape: Shape) -> None:
    model = build_model(config(**table), shape).double()
    inputs = sample(shape)
    outputs = model(inputs.double() if inputs.is_floating_point() else inputs)
    assert outputs.dtype == torch.float64
    assert torch.isfinite(outputs).all()


@pytest.mark.parametrize("table", [{"name": "mlp"}, {"name": "resnet18"}, TINY_GPT])
def test_the_seed_decides_the_weights(table: dict[str, Any]) -> None:
    shape = TOKENS if table["name"] == "gpt" else IMAGE

    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        model = build_model(config(**table), shape)
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    assert torch.equal(weights(3), weights(3))
    assert not torch.equal(weights(3), weights(4))


@pytest.mark.parametrize(
    ("table", "shape"),
    [
        ({"name": "mlp", "dropout": 0.5}, FEATURES),
        ({"name": "simple_cnn", "dropout": 0.5}, IMAGE),
        (TINY_GPT | {"dropout": 0.5}, TOKENS),
    ],
)
def test_dropout_acts_in_training_only(table: dict[str, Any], shape: Shape) -> None:
    torch.manual_seed(0)
    model, inputs = build_model(config(**table), shape), sample(shape)
    assert not torch.equal(model(inputs), model(inputs))
    model.eval()
    assert torch.equal(model(inputs), model(inputs))


@pytest.mark.parametrize(
    ("table", "shape", "said"),
    [
        ({"name": "resnet18"}, TOKENS, "reads images; the data gives text or tokens"),
        ({"name": "mlp"}, TOKENS, "reads features or images"),
        ({"name": "gpt"}, IMAGE, "reads text or tokens; the data gives images"),
        ({"name": "simple_cnn"}, Shape("image", (1, 3, 9), 2), "4 pixels a side or more"),
        (TINY_GPT, Shape("tokens", (9,), 11), "the model's context holds 8"),
    ],
)
def test_data_that_a_model_cannot_read_is_refused(
    table: dict[str, Any], shape: Shape, said: str
) -> None:
    with pytest.raises(BadCombination, match=said):
        build_model(config(**table), shape)


# --------------------------------------------------------------------------- user's own

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Write]:
    """Write the user's module `my_net`; it is forgotten afterwards."""
    path = list(sys.path)

    def put(text: str) -> Path:
        file = tmp_path / "my_net.py"
        file.write_text(dedent(text))
        return file

    yield put
    sys.path[:] = path
    sys.modules.pop("my_net", None)


def build_users(tmp_path: Path, **args: Any) -> torch.nn.Module:
    return build_model(config(name="my_net:build", args=args), FEATURES, folders=[tmp_path])


def test_a_users_model_gets_the_shape_and_its_arguments(write: Write, tmp_path: Path) -> None:
    write("""
        from torch import nn

        def build(shape, bias=True):
            return nn.Linear(shape.input[0], shape.outputs, bias=bias)
    """)
    model = build_users(tmp_path, bias=False)
    assert [tuple(p.shape) for p in model.parameters()] == [(2, 5)]


def test_a_users_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = list(sys.path)
    with pytest.raises(CodeNotImportable, match="my_net"):
        build_users(tmp_path)
    sys.path[:] = path


def test_a_users_mistake_is_blamed_by_file_and_line(write: Write, tmp_path: Path) -> None:
    file = write("""
        from torch import nn

        def build(shape):
            return nn.Linear(shape.inputs, 1)
    """)
    with pytest.raises(CodeRaised, match="AttributeError") as caught:
        build_users(tmp_path)
    assert caught.value.where == f"{file}:5"


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("None", "a NoneType, not an nn.Module"),
        ("nn.Linear", "a type, not an nn.Module"),
        ("nn.ReLU()", "without a parameter to train"),
        ("nn.Linear(5, 2).requires_grad_(False)", "without a parameter to train"),
        ("nn.LazyLinear(2)", "lazy layers"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    returned: str, said: str, write: Write, tmp_path: Path
) -> None:
    file = write(f"from torch import nn\n\ndef build(shape):\n    return {returned}\n")
    with pytest.raises(CodeReturnedWrong, match=said) as caught:
        build_users(tmp_path)
    assert caught.value.where == f"{file}:3"
