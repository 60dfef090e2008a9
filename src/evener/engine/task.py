"""What is learned: a loss as a sum over samples and its count, never a mean.

Sums are what makes a step exact: they add up over micro-batches and over ranks of any share,
and a rank with nothing to do adds zero. The engine asks for the loss of one piece of samples after
another; who answers, a task of ours or the loop of a script, is the driver.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from evener import usercode
from evener.config.schema import Train
from evener.data import nested
from evener.errors import CodeReturnedWrong
from evener.shape import Shape

Batch = Any  # what a collate function makes; of built-in data a tuple of tensors


@dataclass(frozen=True, slots=True)
class Loss:
    """`sum` over what `count` counts (samples, tokens); `metrics` are sums over the same. A sum
    that was differentiated before needs no gradient. It is for the `optimizer` of that place."""

    sum: Tensor
    count: float
    metrics: dict[str, Any] = field(default_factory=dict)
    optimizer: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """Samples that go through the model at once, as loaded. Their loss is to be answered."""

    batch: Batch
    samples: int
    step: int
    epoch: int
    start: int  # the first one's position in the global batch
    whole: int  # samples in that batch
    ghost: bool = False  # they count nothing


@dataclass(frozen=True, slots=True)
class Moved:
    """The answer was taken in. `committed`: with it an optimizer has moved, on all ranks alike.

    What is sent next is None, or, where a step has several optimizers, the loss for another.
    """

    committed: bool


T = TypeVar("T")
Work = Generator[Piece | Moved, Loss | None, T]


def drive(work: Work[T], answer: Callable[[Piece], Loss]) -> T:
    """The driver of built-in tasks. What `answer` raises, the engine has to hear: it may be that
    memory was full."""
    try:
        asked: Piece | Moved = next(work)
        while True:
            if isinstance(asked, Moved):
                asked = work.send(None)
                continue
            try:
                loss = answer(asked)
            except Exception as error:  # noqa: BLE001  (the engine raises what it cannot mend)
                asked = work.throw(error)
            else:
                asked = work.send(loss)
    except StopIteration as end:
        result: T = end.value
        return result


class Task(Protocol):
    """A loss with the names of the metrics it always returns, in their order."""

    @property
    def metrics(self) -> tuple[str, ...]: ...

    def loss(self, model: Callable[..., Any], batch: Batch, *, training: bool) -> Loss: ...


@dataclass(frozen=True, slots=True)
class Regression:
    """Squared error, summed over samples and outputs; counted in numbers predicted."""

    metrics: tuple[str, ...] = ()

    def loss(self, model: Callable[..., Any], batch: Batch, *, training: bool) -> Loss:
        inputs, targets = batch
        error = functional.mse_loss(model(inputs), targets, reduction="sum")
        return Loss(error, float(targets.numel()))


@dataclass(frozen=True, slots=True)
class Classification:
    """Cross-entropy over classes, with accuracy and, where it says something, top-5."""

    classes: int
    label_smoothing: float = 0.0

    @property
    def metrics(self) -> tuple[str, ...]:
        return ("accuracy", "top5") if self.classes > 10 else ("accuracy",)

    def loss(self, model: Callable[..., Any], batch: Batch, *, training: bool) -> Loss:
        inputs, labels = batch
        logits = model(inputs)
        smoothing = self.label_smoothing if training else 0.0
        total = functional.cross_entropy(logits, labels, reduction="sum", label_smoothing=smoothing)
        return Loss(total, float(labels.numel()), self._count_hits(logits.detach(), labels))

    def _count_hits(self, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
        hits = {"accuracy": (logits.argmax(1) == labels).sum()}
        if "top5" in self.metrics:
            hits["top5"] = (logits.topk(5, 1).indices == labels[:, None]).sum()
        return hits


@dataclass(frozen=True, slots=True)
class NextToken:
    """Cross-entropy of every next token, counted in tokens."""

    label_smoothing: float = 0.0
    metrics: tuple[str, ...] = ()

    def loss(self, model: Callable[..., Any], batch: Batch, *, training: bool) -> Loss:
        inputs, targets = batch
        logits = model(inputs)
        total = functional.cross_entropy(
            logits.flatten(0, 1),
            targets.flatten(),
            reduction="sum",
            label_smoothing=self.label_smoothing if training else 0.0,
        )
        return Loss(total, float(targets.numel()))


class UserTask:
    """The user's own loss function, held to its word."""

    def __init__(self, reference: str, function: Callable[..., Any]) -> None:
        self._reference = reference
        self._function = function
        self.metrics: tuple[str, ...] = tuple(getattr(function, "metrics", ()))

    def loss(self, model: Callable[..., Any], batch: Batch, *, training: bool) -> Loss:
        result = usercode.call(self._reference, self._function, model, batch)
        if not isinstance(result, tuple) or len(result) not in (2, 3):
            raise self._wrong(f"a {type(result).__name__}")
        total, count, *rest = result
        metrics = dict(rest[0]) if rest else {}
        if not isinstance(total, Tensor) or total.ndim != 0:
            raise self._wrong("a loss sum that is no tensor of one number")
        if set(metrics) != set(self.metrics):
            raise self._wrong(f"metrics {sorted(metrics)}, declared are {sorted(self.metrics)}")
        values = {k: torch.as_tensor(metrics[k]).detach() for k in self.metrics}
        return Loss(total, float(count), values)

    def _wrong(self, got: str) -> CodeReturnedWrong:
        return CodeReturnedWrong(
            f"the loss {self._reference} returned {got}",
            where="train.loss",
            fix="return (sum, count), or (sum, count, {name: sum}) with the names listed in "
            "the function's attribute `metrics`",
        )


def build_task(train: Train, shape: Shape) -> Task:
    """The loss that fits the data, unless the user brings one."""
    if train.loss is not None:
        return UserTask(train.loss, usercode.load_callable(train.loss, [Path.cwd()]))
    if shape.kind == "features":
        return Regression()
    if shape.kind == "image":
        return Classification(shape.outputs, train.label_smoothing)
    return NextToken(train.label_smoothing)


def move(batch: Batch, device: torch.device, dtype: torch.dtype | None) -> Batch:
    """To the device; real numbers in the training's precision if it has one, whole numbers as they
    are."""

    def moved(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf.to(device) if callable(getattr(leaf, "to", None)) else leaf
        real = leaf.is_floating_point() and dtype is not None
        return leaf.to(device, dtype if real else leaf.dtype, non_blocking=True)

    return nested.mapped(batch, moved)
