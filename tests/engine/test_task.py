"""Losses are sums with counts, and a user's own is held to its word."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from evener.config.schema import Train
from evener.engine.task import (
    Classification,
    NextToken,
    Regression,
    UserTask,
    build_task,
    move,
)  # fmt: skip
from evener.errors import CodeRaised, CodeReturnedWrong
from evener.shape import Shape


def test_regression_counts_numbers() -> None:
    x = torch.randn(5, 3)
    loss = Regression().loss(nn.Identity(), (x, torch.zeros(5, 3)), training=True)
    assert loss.count == 15
    assert torch.allclose(loss.sum, (x**2).sum())


def test_classification_counts_hits() -> None:
    logits = torch.eye(12)[[3, 4, 5]] * 9
    loss = Classification(12).loss(nn.Identity(), (logits, torch.tensor([3, 4, 0])), training=True)
    assert loss.count == 3
    assert int(loss.metrics["accuracy"]) == 2
    assert int(loss.metrics["top5"]) >= 2


def test_top5_of_few_classes_says_nothing() -> None:
    assert Classification(10).metrics == ("accuracy",)


def test_smoothing_is_for_training_alone() -> None:
    batch = (torch.randn(4, 5), torch.tensor([0, 1, 2, 3]))
    task = Classification(5, label_smoothing=0.2)
    plain = Classification(5).loss(nn.Identity(), batch, training=True).sum
    assert torch.equal(task.loss(nn.Identity(), batch, training=False).sum, plain)
    assert not torch.equal(task.loss(nn.Identity(), batch, training=True).sum, plain)


def test_next_token_counts_tokens() -> None:
    logits = torch.zeros(2, 7, 11)
    loss = NextToken().loss(
        lambda _: logits, (torch.zeros(2, 7), torch.zeros(2, 7, dtype=torch.int64)), training=True
    )
    assert loss.count == 14
    assert float(loss.sum) == pytest.approx(14 * torch.log(torch.tensor(11.0)).item())


@pytest.mark.parametrize(
    ("kind", "task"), [("features", Regression), ("image", Classification), ("tokens", NextToken)]
)
def test_the_data_chooses(kind: Any, task: type) -> None:
    train = Train.model_validate({"steps": 1})
    assert isinstance(build_task(train, Shape(kind, (4,), 3)), task)


@pytest.mark.parametrize(
    "returned",
    [
        torch.tensor(1.0),
        (torch.ones(2), 2),
        (1.0, 2),
        (torch.tensor(1.0), 2, {"undeclared": torch.tensor(1.0)}),
        "nonsense",
    ],
)
def test_a_users_loss_must_return_a_sum_and_a_count(returned: Any) -> None:
    task = UserTask("my:loss", lambda m, b: returned)
    with pytest.raises(CodeReturnedWrong, match="my:loss"):
        task.loss(nn.Identity(), (torch.ones(1),), training=True)


def test_a_users_loss_that_raises_is_named() -> None:
    def broken(model: Any, batch: Any) -> Any:
        raise KeyError("weights")

    task = UserTask("my:loss", broken)
    with pytest.raises(CodeRaised, match="my:loss raised KeyError"):
        task.loss(nn.Identity(), (torch.ones(1),), training=True)


def test_real_numbers_take_the_precision_of_the_run() -> None:
    reals, labels = move((torch.ones(2), torch.tensor([1, 2])), torch.device("cpu"), torch.float64)
    assert (reals.dtype, labels.dtype) == (torch.float64, torch.int64)
