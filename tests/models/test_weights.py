"""Weights from files: what fits is copied, stem and head may start anew, all else is refused."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from evener.config.models import Resnet
from evener.errors import CheckpointMismatch, DataDamaged, DataMissing, NotPermitted, WrongValue
from evener.models import build_model
from evener.models.weights import load_weights, read_weights
from evener.shape import Shape


def small_net(classes: int = 3, channels: int = 1, width: int = 4) -> nn.Module:
    """Stem, something between, head: the shape of every classifier."""
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, width, 1), nn.Flatten(),
        nn.Linear(width, classes),
    )  # fmt: skip


def save_pth(state: Any, path: Path) -> Path:
    torch.save(state, path.with_suffix(".pth"))
    return path.with_suffix(".pth")


def save_safetensors(state: dict[str, Tensor], path: Path) -> Path:
    safetensors.torch.save_file(state, path.with_suffix(".safetensors"))
    return path.with_suffix(".safetensors")


def same(model: nn.Module, other: nn.Module) -> list[str]:
    theirs = other.state_dict()
    return [n for n, t in model.state_dict().items() if torch.equal(t, theirs[n])]


@pytest.mark.parametrize("save", [save_pth, save_safetensors])
def test_every_tensor_is_copied(
    save: Callable[[dict[str, Tensor], Path], Path], tmp_path: Path
) -> None:
    theirs, ours, notes = small_net(), small_net(), list[str]()
    assert len(same(ours, theirs)) < len(theirs.state_dict())
    load_weights(ours, save(theirs.state_dict(), tmp_path / "w"), notes.append)
    assert len(same(ours, theirs)) == len(theirs.state_dict())
    assert notes == []


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state, "optimizer": {"lr": 1.0}},
        lambda state: {f"module.{n}": t for n, t in state.items()},
        lambda state: {n: t for n, t in state.items() if not n.endswith("num_batches_tracked")},
    ],
)
def test_what_training_scripts_wrap_around_is_taken_off(
    wrap: Callable[[dict[str, Tensor]], Any], tmp_path: Path
) -> None:
    theirs, ours = small_net(), small_net()
    load_weights(ours, save_pth(wrap(theirs.state_dict()), tmp_path / "w"), pytest.fail)
    assert len(same(ours, theirs)) == len(theirs.state_dict())


def test_a_head_of_other_classes_starts_anew_and_is_noted(tmp_path: Path) -> None:
    theirs, ours, notes = small_net(classes=9), small_net(), list[str]()
    before = ours.get_parameter("4.weight").clone()
    load_weights(ours, save_pth(theirs.state_dict(), tmp_path / "w"), notes.append)
    (note,) = notes
    assert note.startswith("4 starts anew, not from w.pth: 4.weight (9, 4) is (3, 4) here")
    assert torch.equal(ours.get_parameter("4.weight"), before)
    assert torch.equal(ours.get_parameter("2.weight"), theirs.get_parameter("2.weight"))


def test_imagenet_weights_go_into_a_resnet_for_small_images(tmp_path: Path) -> None:
    theirs = build_model(Resnet(name="resnet18"), Shape("image", (3, 64, 64), 20))
    file, notes = save_safetensors(theirs.state_dict(), tmp_path / "w"), list[str]()
    config = Resnet(name="resnet18", weights=str(file))
    ours = build_model(config, Shape("image", (3, 32, 32), 10), note=notes.append)
    assert [n.split()[0] for n in notes] == ["conv1", "fc"]
    assert "conv1.weight (64, 3, 7, 7) is (64, 3, 3, 3) here" in notes[0]
    assert ours.get_parameter("fc.weight").shape == (10, 512)
    old = theirs.get_parameter("layer4.1.conv2.weight")
    assert torch.equal(ours.get_parameter("layer4.1.conv2.weight"), old)


def test_a_middle_of_other_width_is_another_model(tmp_path: Path) -> None:
    ours = small_net()
    before = {n: t.clone() for n, t in ours.state_dict().items()}
    file = save_pth(small_net(width=5).state_dict(), tmp_path / "w")
    with pytest.raises(CheckpointMismatch, match=r"2.weight \(5, 4, 1, 1\) is \(4, 4, 1, 1\)"):
        load_weights(ours, file, pytest.fail)
    assert all(torch.equal(t, before[n]) for n, t in ours.state_dict().items())


def test_missing_and_unknown_names_are_told(tmp_path: Path) -> None:
    state = small_net().state_dict()
    state["encoder.weight"] = state.pop("0.weight")
    with pytest.raises(CheckpointMismatch) as caught:
        load_weights(small_net(), save_pth(state, tmp_path / "w"), pytest.fail)
    assert "it lacks '0.weight'" in caught.value.what
    assert "it has 'encoder.weight', which the model has not" in caught.value.what
    assert caught.value.where == str(tmp_path / "w.pth")


def test_a_long_list_is_cut(tmp_path: Path) -> None:
    file = save_pth({"other": torch.zeros(1)}, tmp_path / "w")
    with pytest.raises(CheckpointMismatch, match=r"it lacks '0.weight', '0.bias', '1.weight' and"):
        load_weights(small_net(), file, pytest.fail)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("w.pth", b""),
        ("w.pth", b"not a checkpoint at all"),
        ("w.pth", b"PK\x03\x04" + bytes(100)),
        ("w.safetensors", b""),
        ("w.safetensors", b"\xff" * 64),
    ],
)
def test_a_damaged_file_is_told(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataDamaged, match="cannot be read as weights") as caught:
        read_weights(tmp_path / name)
    assert caught.value.where == str(tmp_path / name)


@pytest.mark.parametrize("save", [save_pth, save_safetensors])
def test_a_truncated_file_is_told(
    save: Callable[[dict[str, Tensor], Path], Path], tmp_path: Path
) -> None:
    file = save(small_net().state_dict(), tmp_path / "w")
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(DataDamaged):
        read_weights(file)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1, 2], "it holds a list, not named tensors"),
        ({}, "it holds a dict, not named tensors"),
        ({"a": 1, "b": torch.zeros(1)}, "'a' is no tensor"),
        ({"model": torch.zeros(1), "args": argparse.Namespace(lr=1)}, "cannot be read"),
    ],
)
def test_what_holds_no_weights_or_would_run_code_is_refused(
    content: Any, said: str, tmp_path: Path
) -> None:
    with pytest.raises(DataDamaged, match=said):
        read_weights(save_pth(content, tmp_path / "w"))


def test_a_file_that_is_absent_or_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="there is no file"):
        read_weights(tmp_path / "w.pth")
    with pytest.raises(WrongValue, match=r"'w.onnx' is no \.safetensors"):
        read_weights(tmp_path / "w.onnx")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = save_pth(small_net().state_dict(), tmp_path / "w")

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(torch, "load", refuse)  # the tests may run as root, who may read all
    with pytest.raises(NotPermitted, match="cannot read"):
        read_weights(file)
