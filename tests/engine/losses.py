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


def squares_of_few(model: Any, batch: Any) -> Any:
    """Of a device on which nine samples are too many."""
    inputs, targets = batch
    if len(inputs) > 8:
        raise torch.OutOfMemoryError("CUDA out of memory")
    return (model(inputs) - targets).pow(2).sum(), targets.numel()


def squares_of_none(model: Any, batch: Any) -> Any:
    raise torch.OutOfMemoryError("CUDA out of memory")


def squares_in_large_rooms(model: Any, batch: Any) -> Any:
    """Each sample asks for a twelfth of the GPU's memory."""
    inputs, targets = batch
    total = torch.cuda.get_device_properties(inputs.device).total_memory
    room = torch.empty(len(inputs) * total // 12, dtype=torch.uint8, device=inputs.device)
    loss = (model(inputs) - targets).pow(2).sum() + 0 * room[0]
    return loss, targets.numel()
