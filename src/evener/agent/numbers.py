"""The numbers in what a script prints. Pure: lines in, numbers by name out, and where it stands.

A line may have any number of them: `step 10: loss 2.3, lr 1e-3`, `loss=1.23`, `{'loss': 0.5}`,
`Train Epoch: 1 [640/60000 (1%)]  Loss: 2.30`. What is called step, epoch, loss or lr in one of the
usual ways is that; all others keep their names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

MOST_CHARACTERS = 2000  # of a line that are looked at
MOST_NUMBERS = 30  # of a line that are kept
_NUMBER = r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf)(?![\w.])"
DEFAULT = (
    r"(?<![\w./])(?P<name>"
    r"(?:(?:train|training|val|valid|validation|test|eval|avg|average|mean)[ _/-]+)?"
    r"[A-Za-z][A-Za-z_@/]*\d?)['\"]?[ \t]*(?P<mark>[:=][ \t]*|[ \t]|\[)[ \t]*"
    rf"(?P<value>{_NUMBER})(?:[ \t]*(?:/|of)[ \t]*(?P<total>\d+)\b)?"
)
_STEPS = {"step", "global_step", "iter", "iteration", "it", "update"}
_EPOCHS = {"epoch", "train_epoch"}
_LOSSES = {"loss", "train_loss", "training_loss", "avg_loss", "average_loss", "mean_loss"}
_LOSSES |= {"loss_train", "train_loss_step"}  # as tags of TensorBoard have it
_RATES = {"lr", "learning_rate"}
# What is a measure wherever it stands. Other names need a colon or an equals sign before their
# number, and a step or a loss in their line: not every number that is printed is a curve.
_MEASURES = {
    "acc",
    "accuracy",
    "top1",
    "top5",
    "ppl",
    "perplexity",
    "reward",
    "score",
    "error",
    "f1",
}
_HELD_OUT = re.compile(r"(?:val|valid|validation|test|eval)[_/]")
_OF_HELD_OUT = re.compile(r"\W*(?:val|valid|validation|test|eval)\b", re.IGNORECASE)
_NAME = re.compile(r"[^a-z0-9_@/]+")


@dataclass(frozen=True, slots=True)
class Line:
    """What one line says. `held_out`: measured on data that is not trained on."""

    step: int | None = None
    total: int | None = None
    epoch: int | None = None
    loss: float | None = None
    lr: float | None = None
    held_out: dict[str, float] = field(default_factory=dict)
    others: dict[str, float] = field(default_factory=dict)


def pattern(text: str) -> re.Pattern[str]:
    """Of [script] pattern, or the usual one."""
    return re.compile(text or DEFAULT, re.IGNORECASE)


def read(line: str, wanted: re.Pattern[str]) -> Line | None:
    """None where the line has no number that is wanted."""
    found: dict[str, float] = {}
    total: int | None = None
    for name, value, of in _found(line[:MOST_CHARACTERS], wanted):
        known = _NAME.sub("_", name.lower()).strip("_")
        if known and len(found) < MOST_NUMBERS:
            found.setdefault(known, value)
            total = of if known in _STEPS and of else total
    said = _sorted(found, total, held_out=bool(_OF_HELD_OUT.match(line)))
    return None if said == Line() else said


def loss_among(names: Iterable[str]) -> str | None:
    """The one that is the loss of a step."""
    known = (n for n in names if _NAME.sub("_", n.lower()).strip("_").replace("/", "_") in _LOSSES)
    return next(known, None)


def _found(line: str, wanted: re.Pattern[str]) -> Iterator[tuple[str, float, int | None]]:
    for match in wanted.finditer(line):
        groups = {k: v for k, v in match.groupdict().items() if v is not None}
        if "name" in groups and "value" in groups:
            if "mark" in groups and not (groups["mark"].strip(" \t[") or _is_known(groups["name"])):
                continue
            named = {groups["name"]: groups["value"]}
        else:
            named = {k: v for k, v in groups.items() if k != "total"}
        of = groups.get("total", "")
        for name, text in named.items():
            try:
                total = int(of) if of.isdigit() else None
                whole = total if total and name.lower() in _MEASURES else 1  # `Accuracy: 46/500`
                yield name, float(text) / whole, total
            except ValueError:
                continue  # the user's pattern caught something else


def _is_known(name: str) -> bool:
    first = name.lower().partition("@")[0]
    last = re.split(r"[ /-]+", name.lower())[-1]
    return (
        first in _MEASURES
        or last in _STEPS | _EPOCHS | _LOSSES | _RATES | _MEASURES
        or last.endswith("_loss")
    )


def _sorted(found: dict[str, float], total: int | None, *, held_out: bool) -> Line:
    """`held_out`: the line begins with a word that says so of all of it."""
    step = _whole(found, _STEPS)
    epoch = _whole(found, _EPOCHS)
    if held_out:
        return Line(step, total, epoch, held_out=found)
    loss, lr = _take(found, _LOSSES), _take(found, _RATES)
    apart = {n: v for n, v in found.items() if _HELD_OUT.match(n)}
    alone = step is None and loss is None
    rest = {n: v for n, v in found.items() if n not in apart}
    others = {n: v for n, v in rest.items() if not alone or n.partition("@")[0] in _MEASURES}
    return Line(step, total, epoch, loss, lr, apart, others)


def _take(found: dict[str, float], names: set[str]) -> float | None:
    for name in list(found):
        if name in names:
            return found.pop(name)
    return None


def _whole(found: dict[str, float], names: set[str]) -> int | None:
    value = _take(found, names)
    known = value is not None and math.isfinite(value) and 0 <= value < 2**53
    return int(value) if value is not None and known else None


class Course:
    """Lines of one start of a script, made into steps that only rise.

    Without a step of its own every line with a loss is one. Where steps begin again with every
    epoch they are added up.
    """

    def __init__(self) -> None:
        self.step = 0
        self._printed: int | None = None
        self._before = 0  # steps of the epochs before

    def count(self, line: Line) -> int:
        """The step that the line is about."""
        if line.step is None:
            self.step += line.loss is not None
            return self.step
        if self._printed is not None and line.step < self._printed:
            self._before = self.step
        self._printed = line.step
        self.step = max(self.step, self._before + line.step)
        return self.step
