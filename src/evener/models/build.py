"""From a job's [model] table and the shape of its data to a module that can be trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import nn
from torch.nn.parameter import UninitializedParameter

from evener import usercode
from evener.config import models as config_models
from evener.config.models import Model, UserModel
from evener.errors import BadCombination, CodeReturnedWrong
from evener.models import bigram, gpt, plain, resnet, vision
from evener.models.weights import load_weights
from evener.shape import Shape

Note = Callable[[str], None]
_ANSWERS = {"features": "features", "image": "images", "tokens": "text or tokens"}

# Per table of the job file: the kinds of sample the model reads, and who builds it.
_BUILDERS: dict[type[Any], tuple[tuple[str, ...], Callable[[Any, Shape], nn.Module]]] = {
    config_models.Linear: (("features", "image"), plain.build_linear),
    config_models.Mlp: (("features", "image"), plain.build_mlp),
    config_models.SimpleCnn: (("image",), plain.build_simple_cnn),
    config_models.Resnet: (("image",), resnet.build),
    config_models.Torchvision: (("image",), vision.build),
    config_models.Bigram: (("tokens",), bigram.build),
    config_models.Gpt: (("tokens",), gpt.build),
}


def _keep_silent(text: str) -> None:
    """A caller that passes no `note` does not want to hear."""


def build_model(
    config: Model,
    shape: Shape,
    *,
    folders: Sequence[Path] = (Path(),),
    note: Note = _keep_silent,
) -> nn.Module:
    """The model on the CPU in 32 bits, drawn from torch's global generator: seed it before.

    `folders` is where a user's module is searched first, the current one if not given; `note` is
    told what a person should know about loaded weights. The same seed gives the same weights on
    every machine.
    """
    if isinstance(config, UserModel):
        return _build_users(config, shape, folders)
    kinds, builder = _BUILDERS[type(config)]
    if shape.kind not in kinds:
        raise BadCombination(
            f"model {config.name!r} reads {' or '.join(_ANSWERS[k] for k in kinds)}; "
            f"the data gives {_ANSWERS[shape.kind]}",
            where="model.name, data.name",
            fix="choose a model for this data, or other data",
        )
    model = builder(config, shape)
    weights = getattr(config, "weights", None)
    if weights is not None:
        load_weights(model, Path(weights), note)
    return model


def _build_users(config: UserModel, shape: Shape, folders: Sequence[Path]) -> nn.Module:
    function = usercode.load_callable(config.name, folders)
    model = usercode.call(config.name, function, shape, **config.args)
    wrong = _cannot_train(model)
    if wrong:
        raise CodeReturnedWrong(
            f"{config.name} returned {wrong}",
            where=usercode.source_line(function),
            fix="return an nn.Module with parameters",
        )
    return model  # type: ignore[no-any-return]  # _cannot_train has looked


def _cannot_train(model: object) -> str:
    """What is wrong with what a user's function returned; nothing, if all is well."""
    if not isinstance(model, nn.Module):
        return f"a {type(model).__name__}, not an nn.Module"
    parameters = list(model.parameters())
    if any(isinstance(p, UninitializedParameter) for p in parameters):
        return "a model with lazy layers: pass it one sample before you return it"
    if not any(p.requires_grad for p in parameters):
        return "a model without a parameter to train"
    return ""
