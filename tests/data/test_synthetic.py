"""Data without files: the same for every machine, and with something in it to learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evener.data.dataset import Source
from evener.data.sources import open_data
from tests.data.jobs import job

REGRESSION = {"name": "synthetic_regression", "samples": 500, "features": 5, "noise": 0.1}
PICTURES = {"name": "synthetic_image", "samples": 400, "classes": 4, "size": 9, "channels": 2}


def everything(source: Source) -> tuple[torch.Tensor, ...]:
    return source.fetch(np.arange(len(source)), 0)


@pytest.mark.parametrize("data", [REGRESSION, PICTURES], ids=["regression", "pictures"])
def test_samples_do_not_depend_on_company_or_epoch(data: dict[str, object]) -> None:
    source = open_data(job(data)).train
    inputs, targets = everything(source)
    ids = np.array([7, 3, 3, 399])
    some = source.fetch(ids, 5)
    assert torch.equal(some[0], inputs[ids])
    assert torch.equal(some[1], targets[ids])


@pytest.mark.parametrize("data", [REGRESSION, PICTURES], ids=["regression", "pictures"])
def test_the_seed_and_the_split_decide(data: dict[str, object]) -> None:
    first = open_data(job(data))
    again = open_data(job(data))
    other = open_data(job(data, train={"seed": 7}))
    assert torch.equal(everything(first.train)[0], everything(again.train)[0])
    assert not torch.equal(everything(first.train)[0], everything(other.train)[0])
    assert first.validation is not None
    validation = everything(first.validation)[0]
    assert not torch.equal(everything(first.train)[0][: len(validation)], validation[:500])


def test_a_line_explains_the_regression() -> None:
    opened = open_data(job(REGRESSION))
    assert (opened.shape.kind, opened.shape.input, opened.shape.outputs) == ("features", (5,), 1)
    inputs, targets = everything(opened.train)
    assert inputs.dtype == targets.dtype == torch.float32
    assert targets.shape == (500, 1)
    weights = torch.linalg.lstsq(inputs, targets).solution
    assert opened.validation is not None
    unseen, answers = everything(opened.validation)
    noise = float((unseen @ weights - answers).std())
    assert 0.08 < noise < 0.12


def test_labels_can_be_read_off_the_pictures() -> None:
    opened = open_data(job(PICTURES))
    assert (opened.shape.kind, opened.shape.input, opened.shape.outputs) == ("image", (2, 9, 9), 4)
    inputs, labels = everything(opened.train)
    assert inputs.dtype == torch.float32
    assert labels.dtype == torch.int64
    assert set(labels.tolist()) == {0, 1, 2, 3}
    means = torch.stack([inputs[labels == c].mean(0) for c in range(4)]).flatten(1)
    assert opened.validation is not None
    unseen, answers = everything(opened.validation)
    nearest = torch.cdist(unseen.flatten(1), means).argmin(1)
    assert float((nearest == answers).float().mean()) > 0.9


def test_the_same_for_ever() -> None:
    inputs, targets = open_data(job(REGRESSION)).train.fetch(np.array([0, 499]), 0)
    assert [round(float(v), 6) for v in (*inputs[0, :2], targets[1, 0])] == [
        0.603189,
        1.140993,
        2.432389,
    ]
    pixels = open_data(job(PICTURES)).train.fetch(np.array([399]), 0)[0][0, 1, 4, 2:5]
    assert ((pixels * 0.25 + 0.5) * 255).round().int().tolist() == [160, 176, 146]
