"""What the figures of the benchmark of unequal machines are made from."""

from __future__ import annotations

from pathlib import Path

import pytest

import uneven
from evener.events import Record, SpeedsFitted
from evener.rundir.layout import RunDir
from trial import Trial


def test_what_they_do_together_is_held_against_the_sum_turn_by_turn() -> None:
    rates = {
        "evener": [90.0, 45.0, 92.0],
        "alone 0.8": [50.0, 25.0, 50.0],  # the machine was half as fast in the second turn
        "alone 0.4": [30.0, 15.0, 30.0],
        "alone 0.2": [10.0, 5.0, 10.0],  # there are two of them
    }
    what = uneven.Sum("gpt-sum", uneven.QUOTAS, 0.95)
    case = uneven.sum_case(what, rates, {"ceiling": [95.0]}, {})
    assert case.figure == pytest.approx(0.9)
    assert not case.ok
    assert case.sides["ceiling"].median == pytest.approx(0.95)
    assert case.sides["evener /s"].count == 3


def test_the_new_optimum_is_that_of_the_lines_before_with_the_first_slowed() -> None:
    fitted = SpeedsFitted(9, (0, 1, 2, 3), (8, 4, 2, 2), (0.0,) * 4, (1.0, 2.0, 4.0, 4.0), 1, 2, 2)
    later = SpeedsFitted(19, (0, 1, 2, 3), (8, 4, 2, 2), (0.0,) * 4, (9.0, 9.0, 9.0, 9.0), 1, 2, 1)
    records = (Record(fitted, 10.0, "rank 0", 1), Record(later, 20.0, "rank 0", 2))
    trial = Trial(RunDir(Path()), 0.0, records)
    # speeds of 1/2 + 1/2 + 1/4 + 1/4, over whole samples
    assert uneven._best_after(trial, 15.0, 6000) == pytest.approx(1.5)
    quick = SpeedsFitted(29, (0, 1, 2, 3), (8, 4, 2, 2), (0.0,) * 4, (1.0,) * 4, 1, 2, 4)
    trial = Trial(RunDir(Path()), 0.0, (*records, Record(quick, 30.0, "rank 0", 3)))
    assert uneven._best_after(trial, 15.0, 6000) == 4  # who was only starting seemed slow
