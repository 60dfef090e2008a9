"""torchvision's classifiers by name, also where torchvision was built for another torch.

A torchvision built for CUDA does not import beside a CPU torch: two of its operators were never
registered. Declaring them is enough for every classifier (detection models, which need them,
are not offered here).
"""

from __future__ import annotations

import difflib
import importlib
import sys
from types import ModuleType
from typing import Any

import torch
from torch import nn

from evener.config.models import Torchvision
from evener.errors import BadCombination, ExtraMissing, WrongValue
from evener.shape import Shape

_MISSING_OPERATORS = ("nms", "qnms")
_declared: list[torch.library.Library] = []  # a Library forgets what it declared when it dies


def build(config: Torchvision, shape: Shape) -> nn.Module:
    """The named classifier with random weights; nothing is ever downloaded."""
    name = config.name.removeprefix("torchvision:")
    models = import_torchvision().models
    known = models.list_models(module=models)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise WrongValue(
            f"torchvision has no classifier {name!r}",
            where="model.name",
            fix=f"did you mean 'torchvision:{near[0]}'?" if near else f"one of {', '.join(known)}",
        )
    if shape.input[0] != 3:
        raise BadCombination(
            f"torchvision's models read 3 colour channels; the data gives {shape.input[0]}",
            where="model.name, data.name",
            fix='use model.name = "resnet18" or "simple_cnn"',
        )
    return _built(models, name, _arguments(name, config.args, shape))


def _arguments(name: str, given: dict[str, Any], shape: Shape) -> dict[str, Any]:
    if "weights" in given:
        raise WrongValue(
            "args.weights would download",
            where="model.args",
            fix="download the file yourself and name it in model.weights",
        )
    ours: dict[str, Any] = {"num_classes": shape.outputs}
    if name in ("googlenet", "inception_v3"):  # else they answer with a tuple while training
        ours |= {"aux_logits": False, "init_weights": True}
    if name.startswith("vit_"):  # its positions are counted for one size
        ours["image_size"] = shape.input[1]
    return ours | given


def _built(models: ModuleType, name: str, arguments: dict[str, Any]) -> nn.Module:
    try:
        model: nn.Module = models.get_model(name, weights=None, **arguments)
    except (TypeError, ValueError) as error:
        raise WrongValue(
            f"torchvision's {name} does not take these arguments: {error}",
            where="model.args",
            fix=f"see the documentation of torchvision.models.{name}",
        ) from error
    return model


def import_torchvision() -> ModuleType:
    """torchvision, mended where that is needed and enough."""
    try:
        return importlib.import_module("torchvision")
    except ModuleNotFoundError as error:
        raise ExtraMissing(
            f"{error.name} is not installed",
            where="model.name",
            fix='pip install "evener[vision]"',
        ) from error
    except (RuntimeError, ImportError) as error:
        return _import_again(error)


def _import_again(first: Exception) -> ModuleType:
    """Import once more, with the operators that the first try missed declared."""
    if "operator torchvision::" in str(first) and not _declared:
        library = torch.library.Library("torchvision", "FRAGMENT")
        _declared.append(library)
        for name in _MISSING_OPERATORS:
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        for loaded in [m for m in sys.modules if m.partition(".")[0] == "torchvision"]:
            del sys.modules[loaded]
        try:
            return importlib.import_module("torchvision")
        except (RuntimeError, ImportError) as error:
            first = error
    raise ExtraMissing(
        f"torchvision cannot be imported: {first}",
        where="model.name",
        fix=f"install the torchvision that belongs to torch {torch.__version__}",
    ) from first
