"""Weights from a file into a model: every name must fit; only stem and head may start anew.

The stem follows the image's size and channels, the head the number of classes, so a file trained
on other data differs there by right. Anything else that differs is another model. Nothing is
unpickled but tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from evener.errors import CheckpointMismatch, DataDamaged, DataMissing, NotPermitted, WrongValue

_KEY = "model.weights"
_WRAPPERS = ("state_dict", "model", "net")  # what training scripts put a state dict under
_SHOWN = 3
# Counts batches for a momentum nobody uses here; files of old torch versions lack it.
_OPTIONAL = "num_batches_tracked"


def load_weights(model: nn.Module, path: Path, note: Callable[[str], None]) -> None:
    """Copy the tensors of `path` into `model`; the model is unchanged where this raises."""
    found = read_weights(path)
    own = model.state_dict()
    _check_names(own, found, path)
    differing = [n for n, t in found.items() if t.shape != own[n].shape]
    allowed = _ends(model)
    wrong = [n for n in differing if n.rpartition(".")[0] not in allowed]
    if wrong:
        raise CheckpointMismatch(
            f"tensors of other shapes: {_shapes(wrong, own, found)}",
            where=str(path),
            fix=f"name the model these weights belong to, or leave {_KEY} out",
        )
    model.load_state_dict({n: t for n, t in found.items() if n not in differing}, strict=False)
    for module in sorted({n.rpartition(".")[0] for n in differing}):
        names = [n for n in differing if n.startswith(f"{module}.")]
        note(f"{module} starts anew, not from {path.name}: {_shapes(names, own, found)}")


def read_weights(path: Path) -> dict[str, Tensor]:
    """The named tensors of a .safetensors, .pth or .pt file."""
    if path.suffix not in (".safetensors", ".pth", ".pt"):
        raise WrongValue(
            f"{path.name!r} is no .safetensors, .pth or .pt file",
            where=_KEY,
            fix="save the weights with torch.save(model.state_dict(), 'weights.pth')",
        )
    if not path.is_file():
        raise DataMissing(
            f"there is no file {path}", where=_KEY, fix="correct the path, or leave the key out"
        )
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        return _unwrap(torch.load(path, map_location="cpu", weights_only=True), path)
    except PermissionError as error:
        raise NotPermitted(f"cannot read {path}", where=_KEY, fix="make it readable") from error
    except (DataDamaged, MemoryError):
        raise
    except Exception as error:  # a damaged file raises almost anything in there
        raise _damaged(path, str(error).split("\n")[0] or type(error).__name__) from error


def _unwrap(content: Any, path: Path) -> dict[str, Tensor]:
    """The state dict itself, out of what training scripts wrap around it."""
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content:
        raise _damaged(path, f"it holds a {type(content).__name__}, not named tensors")
    others = [str(k) for k, v in content.items() if not isinstance(v, Tensor)]
    if others:
        raise _damaged(path, f"{_some(others)} is no tensor")
    wrapped = all(str(name).startswith("module.") for name in content)  # by DataParallel
    return {str(n).removeprefix("module.") if wrapped else str(n): t for n, t in content.items()}


def _damaged(path: Path, why: str) -> DataDamaged:
    return DataDamaged(
        f"{path.name} cannot be read as weights: {why}",
        where=str(path),
        fix="copy the file again, or save only model.state_dict() into it",
    )


def _check_names(own: Mapping[str, Tensor], found: Mapping[str, Tensor], path: Path) -> None:
    missing = [n for n in own if n not in found and not n.endswith(_OPTIONAL)]
    unknown = [n for n in found if n not in own]
    if not missing and not unknown:
        return
    parts = []
    if missing:
        parts.append(f"it lacks {_some(missing)}")
    if unknown:
        parts.append(f"it has {_some(unknown)}, which the model has not")
    raise CheckpointMismatch(
        f"the weights are of another model: {'; '.join(parts)}",
        where=str(path),
        fix=f"name the model these weights belong to, or leave {_KEY} out",
    )


def _ends(model: nn.Module) -> tuple[str, str]:
    """The modules of the first and the last parameter that belong to one: stem and head."""
    owners = [name.rpartition(".")[0] for name, _ in model.named_parameters()]
    owners = [owner for owner in owners if owner]
    return owners[0], owners[-1]


def _shapes(names: list[str], own: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    told = [f"{n} {tuple(found[n].shape)} is {tuple(own[n].shape)} here" for n in names]
    return _some(told, quote="")


def _some(names: list[str], quote: str = "'") -> str:
    shown = ", ".join(f"{quote}{n}{quote}" for n in names[:_SHOWN])
    rest = len(names) - _SHOWN
    return shown if rest <= 0 else f"{shown} and {rest} more"
