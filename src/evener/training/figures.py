"""Numbers of a script: those it logs, summed over ranks with the loss, and those it is examined by.

A step's sums have a fixed number of places, which all ranks know beforehand; the names do not
travel. A hash of them does, so that ranks that log different numbers are found out.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from evener import usercode
from evener.engine.task import Batch, Loss
from evener.errors import CodeReturnedWrong
from evener.training.parts import wrong

MOST = 12
_PLACES = tuple(f"place {i}" for i in range(MOST))
_NAMES = "names"
_HASHES = 2**24  # their mean over ranks is exact


class Figures:
    """What the script logs, from call to call. As a task, it answers no piece: the script does."""

    metrics = (*_PLACES, _NAMES)

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell, self._told = tell, False
        self._names: tuple[str, ...] = ()
        self._values: dict[str, float] = {}

    def log(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            self._values[name] = float(value)
        if len(self._values) > MOST:
            raise wrong(f"more than {MOST} numbers are logged in one step", "log fewer")

    def taken(self, count: float) -> dict[str, float]:
        """As sums over `count`; what is logged from now on belongs to the next step."""
        values, self._values = self._values, {}
        self._names = tuple(sorted(values))
        known = dict.fromkeys(self.metrics, 0.0)
        known |= {p: values[n] * count for p, n in zip(_PLACES, self._names, strict=False)}
        known[_NAMES] = _hash(self._names) * count
        return known

    def read(self, means: dict[str, float]) -> dict[str, float]:
        """By the names, which all ranks have alike."""
        if abs(means[_NAMES] - _hash(self._names)) > 0.5:
            if not self._told:
                self._told = True
                self._tell("ranks logged different numbers in one step: call run.log for every "
                           "batch alike")  # fmt: skip
            return {}
        return {name: means[place] for place, name in zip(_PLACES, self._names, strict=False)}

    def loss(self, model: Callable[..., Any], batch: Batch, *, training: bool) -> Loss:
        raise AssertionError("the script itself answers every piece")


class Exam:
    """The user's own measure of a batch of validation."""

    def __init__(self, function: Callable[[Any], Any], metrics: tuple[str, ...]) -> None:
        self.metrics = metrics
        self._function = function
        self._name = getattr(function, "__name__", "the function of run.evaluate")

    def loss(self, model: Callable[..., Any], batch: Batch, *, training: bool) -> Loss:
        result = usercode.call(self._name, self._function, batch)
        if not isinstance(result, tuple) or len(result) not in (2, 3):
            raise self._wrong(f"a {type(result).__name__}")
        total, count, *rest = result
        found = dict(rest[0]) if rest else {}
        if set(found) != set(self.metrics):
            raise self._wrong(f"metrics {sorted(found)}; named are {sorted(self.metrics)}")
        return Loss(torch.as_tensor(total), float(count), found)

    def _wrong(self, got: str) -> CodeReturnedWrong:
        return CodeReturnedWrong(
            f"{self._name} returned {got}",
            where=usercode.source_line(self._function),
            fix="return (loss_sum, count), or (loss_sum, count, {name: sum}) with the names given "
            "to run.evaluate(..., metrics=(...))",
        )


def looks_like_a_mean(loss: Tensor) -> str:
    """The name of what averages in a loss, as far as its graph tells; nothing, if nothing does.

    Only what is added up is looked through: a mean that is multiplied by its count is a sum.
    """
    pending: list[Any] = [loss.grad_fn]
    while pending:
        node = pending.pop()
        name = type(node).__name__.removesuffix("Backward0").removesuffix("Backward1")
        if name in ("Add", "Sub", "ToCopy", "View"):
            pending += [n for n, _ in node.next_functions if n is not None]
        elif name == "Mean" or getattr(node, "_saved_reduction", None) == 1:
            return name
    return ""


def _hash(names: tuple[str, ...]) -> int:
    return zlib.crc32("\0".join(names).encode()) % _HASHES if names else 0
