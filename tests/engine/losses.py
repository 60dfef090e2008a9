"""Losses a user might bring, good and bad."""

from __future__ import annotations

from typing import Any

import torch


def absolute(model: Any, batch: Any) -> Any:
    inputs, targets = batch
    error = (model(inputs) - targets).abs()
    return error.sum(), targets.numel(), {"within": (error < 0.5).sum()}


absolute.metrics = ("within",)  # type: ignore[attr-defined]


def explodes(model: Any, batch: Any) -> Any:
    inputs, targets = batch
    return (model(inputs) - targets).pow(2).sum() * torch.inf, targets.numel()


def a_mean(model: Any, batch: Any) -> Any:
    inputs, targets = batch
    return (model(inputs) - targets).pow(2).mean()


def explodes_on_labels(model: Any, batch: Any) -> Any:
    images, labels = batch
    return model(images).sum() * torch.inf, labels.numel()
