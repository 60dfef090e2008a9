"""The numbers in what scripts print."""

from __future__ import annotations

import math

import pytest

from evener.agent.numbers import Course, Line, pattern, read

USUAL = pattern("")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("step 10: loss 2.3, lr 1e-3", Line(step=10, loss=2.3, lr=1e-3)),
        ("loss=1.23", Line(loss=1.23)),
        ("step 20/100 loss = 0.5", Line(step=20, total=100, loss=0.5)),
        ("{'loss': 0.5, 'learning_rate': 5e-05, 'epoch': 0.1}", Line(epoch=0, loss=0.5, lr=5e-5)),
        ("Train Epoch: 1 [640/60000 (1%)]\tLoss: 2.30", Line(epoch=1, loss=2.3)),
        ("[GPU0] Epoch 1 | Iter 100 | Train Loss 2.34", Line(step=100, epoch=1, loss=2.34)),
        (
            "step 0: train loss 4.1, val loss 4.2",
            Line(step=0, loss=4.1, held_out={"val_loss": 4.2}),
        ),
        (
            "Test set: Average loss: 0.05, Accuracy: 9800/10000 (98%)",
            Line(held_out={"average_loss": 0.05, "accuracy": 0.98}),
        ),
        (
            "iter 3: loss 1.5, time 12.5, mfu -100.00%",
            Line(step=3, loss=1.5),
        ),
        ("step 3: loss 1.5 mfu=2.5", Line(step=3, loss=1.5, others={"mfu": 2.5})),
        ("max_epochs=3 reached", None),
        ("Acc@1 0.5", Line(others={"acc@1": 0.5})),
        ("Training snapshot saved at snapshot.pt", None),
        ("", None),
    ],
)
def test_a_line_says(line: str, said: Line | None) -> None:
    assert read(line, USUAL) == said


def test_what_is_not_finite_is_a_number_too() -> None:
    said = read("step 3 loss nan", USUAL)
    assert said is not None
    assert math.isnan(said.loss or 0.0)


def test_a_pattern_of_ones_own_names_its_numbers() -> None:
    own = pattern(r"it\[(?P<step>\d+)\] L(?P<loss>\S+)")
    assert read("it[7] L0.25 x 9", own) == Line(step=7, loss=0.25)


def test_steps_only_rise() -> None:
    course = Course()
    lines = [Line(step=1, loss=1.0), Line(step=5, loss=1.0), Line(step=1, loss=1.0), Line(loss=1.0)]
    assert [course.count(line) for line in lines] == [1, 5, 6, 7]
