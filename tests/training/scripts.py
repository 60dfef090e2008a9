"""Loops as users write them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import TensorDataset

from evener.training.run import Run
from tests.training.stage import seeded


def points(samples: int = 100) -> TensorDataset:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(samples, 5, generator=generator, dtype=torch.float64)
    return TensorDataset(inputs, (inputs.sum(1) > 0).long())


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 2)).double()


def classify(run: Run, until: int = -1, samples: int = 100, **keys: Any) -> None:
    """The short form: a schedule, a logged number, validation."""
    model = seeded(run, network)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [4, 8])
    run.prepare(model, optimizer, schedule)

    def exam(batch: Any) -> Any:
        logits = model(batch[0])
        hits = (logits.argmax(1) == batch[1]).sum()
        loss = functional.cross_entropy(logits, batch[1], reduction="sum")
        return loss, len(batch[1]), {"accuracy": hits}

    run.evaluate(points(30), exam, metrics=("accuracy",))
    keys = {"global_batch": 24, "steps": 12} | keys
    for inputs, labels in run.batches(points(samples), **keys):
        logits = model(inputs)
        run.log(right=(logits.argmax(1) == labels).double().mean())
        run.step(functional.cross_entropy(logits, labels, reduction="sum"), len(labels))
        if run.step_number == until:
            break


def accumulate(run: Run) -> None:
    """The long form: the batch in parts of the script's own."""
    model = seeded(run, network)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [4, 8])
    run.prepare(model, optimizer, schedule)
    for inputs, labels in run.batches(points(), global_batch=24, steps=12):
        for x, y in zip(inputs.split(3), labels.split(3), strict=True):
            run.backward(functional.cross_entropy(model(x), y, reduction="sum"), len(y))
        run.step()


class Average:
    """Of the weights, kept by the script beside them."""

    def __init__(self, model: nn.Module) -> None:
        self.of = model
        self.values = {k: v.clone() for k, v in model.state_dict().items()}
        self.counts = {2: (0, "x")}

    def update(self) -> None:
        for name, value in self.of.state_dict().items():
            self.values[name].lerp_(value, 0.1)
        self.counts = {2: (self.counts[2][0] + 1, "x")}

    def state_dict(self) -> dict[str, Any]:
        return {"values": self.values, "counts": self.counts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.values = {k: v.clone() for k, v in state["values"].items()}
        self.counts = dict(state["counts"])


def rivals() -> tuple[nn.Module, nn.Module]:
    painter = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 5))
    judge = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1))
    return painter.double(), judge.double()


def compete(run: Run) -> Average:
    """A GAN: two models, two optimizers, noise for every sample, an average of the weights."""
    painter, judge = seeded(run, rivals)
    of_painter = torch.optim.SGD(painter.parameters(), lr=0.05, momentum=0.5)
    of_judge = torch.optim.SGD(judge.parameters(), lr=0.05, momentum=0.5)
    run.prepare(painter, judge, of_painter, of_judge)
    average = run.keep("average", Average(painter))
    bce = functional.binary_cross_entropy_with_logits
    for real, _ in run.batches(points(), global_batch=24, steps=12):
        noise = run.randn(3).double()
        ones, zeros = torch.ones(len(real), 1).double(), torch.zeros(len(real), 1).double()
        fake = painter(noise)
        told = bce(judge(real), ones, reduction="sum")
        told = told + bce(judge(fake.detach()), zeros, reduction="sum")
        run.step(told, 2 * len(real), optimizer=of_judge)
        fooled = bce(judge(painter(noise)), ones, reduction="sum")
        if run.step(fooled, len(real), optimizer=of_painter):
            average.update()
    return average


class Counted:
    """A stream of 50 samples, in the order of its pass."""

    def __init__(self) -> None:
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[Any]:
        inputs, labels = points(50).tensors
        for place in range(50):
            at = (place * 7 + self.epoch) % 50
            yield {"inputs": inputs[at], "label": labels[at]}


def flow(run: Run) -> list[int]:
    """Over a stream; returns how many samples each step of this rank had."""
    model = seeded(run, network)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    run.prepare(model, optimizer)
    seen = []
    for batch in run.batches(Counted(), global_batch=12, epochs=3):
        logits, labels = model(batch["inputs"]), batch["label"]
        seen.append(len(labels))
        run.step(functional.cross_entropy(logits, labels, reduction="sum"), len(labels))
    return seen
