"""What a script can do wrong: each is one message, with the line of the script."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from evener.errors import CodeRaised, CodeReturnedWrong, EvenerError
from evener.training.alone import AloneSeat
from evener.training.run import Run
from tests.training.scripts import points
from tests.training.stage import train

Loop = Callable[[Run, nn.Module, torch.optim.Optimizer], object]


def begun(loop: Loop) -> list[str]:
    """What is told while `loop` trains a small model alone."""
    told: list[str] = []
    seat: Any = AloneSeat()
    seat.tell = told.append
    run = Run(seat, seat.job)
    model = nn.Linear(5, 2).double()
    loop(run, *run.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1)))
    return told


def answers(answer: Callable[[Run, Any, Any], object], data: Any = None, **keys: Any) -> Loop:
    def loop(run: Run, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        given = {"global_batch": 10, "steps": 3} | keys
        for batch in run.batches(points(20) if data is None else data, **given):
            answer(run, model, batch)

    return loop


def error(model: Any, batch: Any, reduction: str = "sum") -> Any:
    return functional.cross_entropy(model(batch[0]), batch[1], reduction=reduction)


def early(run: Run, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    run.step(model(torch.zeros(1, 5).double()).sum(), 1)


def moves(run: Run, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    answers(lambda r, m, b: optimizer.step())(run, model, optimizer)


def clears(run: Run, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    answers(lambda r, m, b: optimizer.zero_grad())(run, model, optimizer)


def twice(run: Run, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    answers(lambda r, m, b: r.step(error(m, b), 10))(run, model, optimizer)
    run.batches(points(), steps=1)


class Odd:
    def __len__(self) -> int:
        return 20

    def __getitem__(self, place: int) -> object:
        return object()


class Broken(Odd):
    def __getitem__(self, place: int) -> object:
        raise KeyError("no such file")


MISTAKES: dict[str, tuple[Loop, str]] = {
    "no step": (answers(lambda r, m, b: None), "without run.step"),
    "two steps": (
        answers(lambda r, m, b: [r.step(error(m, b), 10) for _ in range(2)]),
        "called twice for one batch",
    ),
    "no loss": (answers(lambda r, m, b: r.step()), "without a loss and its count"),
    "a loss for each sample": (
        answers(lambda r, m, b: r.step(error(m, b, "none"), 10)),
        "a tensor of shape (10,)",
    ),
    "a loss without a graph": (
        answers(lambda r, m, b: r.step(error(m, b).detach(), 10)),
        "depends on nothing that learns",
    ),
    "no count": (answers(lambda r, m, b: r.step(error(m, b), 0)), "given 0 as a count"),
    "a step outside": (early, "outside of the loop"),
    "an optimizer's step": (moves, "optimizer.step() was called"),
    "an optimizer's zero_grad": (clears, "optimizer.zero_grad() was called"),
    "a second loop": (twice, "run.batches was called after run.batches"),
    "no length": (answers(lambda r, m, b: None, steps=None), "how long it goes on"),
    "half a batch": (answers(lambda r, m, b: None, global_batch=0.5), "global_batch is 0.5"),
    "a loader": (answers(lambda r, m, b: None, DataLoader(points())), "a DataLoader"),
    "a generator": (answers(lambda r, m, b: None, (i for i in range(9))), "read only once"),
    "samples of no kind": (answers(lambda r, m, b: None, Odd()), "samples of Odd make no batch"),
    "few samples": (answers(lambda r, m, b: None, points(5)), "there are 5 samples"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_its_line(name: str) -> None:
    loop, words = MISTAKES[name]
    with pytest.raises(EvenerError) as caught:
        begun(loop)
    assert words in caught.value.what
    assert caught.value.fix
    if name != "samples of no kind":
        assert Path(__file__).name in caught.value.where


def test_what_a_data_set_raises_is_told_with_its_line() -> None:
    with pytest.raises(CodeRaised, match="KeyError") as caught:
        begun(answers(lambda r, m, b: None, Broken()))
    assert Path(__file__).name in caught.value.where


@pytest.mark.parametrize(
    ("told", "answer"),
    [
        ("NllLoss", lambda r, m, b: r.step(error(m, b, "mean"), 10)),
        ("Mean", lambda r, m, b: r.step(m(b[0]).square().mean() + 0, 10)),
        ("", lambda r, m, b: r.step(error(m, b, "mean") * 10, 10)),
        ("", lambda r, m, b: r.step(error(m, b), 10)),
    ],
)
def test_a_mean_is_warned_of_once_by_name(told: str, answer: Callable[..., object]) -> None:
    warnings = begun(answers(answer))
    assert len(warnings) == bool(told)
    if told:
        assert f"looks like a mean ({told})" in warnings[0]
        assert Path(__file__).name in warnings[0]


def test_ranks_that_log_different_numbers_are_told_so(tmp_path: Path) -> None:
    def script(run: Run) -> None:
        model = nn.Linear(5, 2).double()
        run.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))
        for batch in run.batches(points(20), global_batch=10, steps=2):
            run.log(**{f"of rank {run.is_lead}": 1.0})
            run.step(error(model, batch), len(batch[1]))

    stage = train(script, tmp_path, 2)
    first: Any = stage.players[0]
    assert "different numbers" in first.seat.told[0]
    assert [e["metrics"] for e in first.link.events("StepCommitted")] == [{}, {}]


def test_an_exam_keeps_its_word() -> None:
    def loop(run: Run, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        run.evaluate(TensorDataset(torch.zeros(4, 5).double()), lambda batch: 1.0)
        answers(lambda r, m, b: r.step(error(m, b), 10))(run, model, optimizer)

    with pytest.raises(CodeReturnedWrong, match="returned a float"):
        begun(loop)
