"""What the figures of the benchmark of unequal machines are made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import uneven
from evener.events import Record, SpeedsFitted
from evener.rundir.layout import RunDir
from trial import Trial


def test_a_speed_is_that_of_the_second_half() -> None:
    assert uneven.speed([9.0, 9.0, 0.5, 0.5], 50) == 100.0


def test_machines_that_are_alike_are_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def solo(bench: Any, model: str, quota: float, share: int) -> float:
        asked.append(quota)
        return quota * 100

    monkeypatch.setattr(uneven, "_solo", solo)
    bench: Any = None
    assert uneven._alone(bench, "gpt", uneven._shares(256)) == pytest.approx(160.0)
    assert asked == [0.8, 0.4, 0.2]


def test_the_new_optimum_is_that_of_the_lines_before_with_the_first_slowed() -> None:
    fitted = SpeedsFitted(9, (0, 1, 2, 3), (8, 4, 2, 2), (0.0,) * 4, (1.0, 2.0, 4.0, 4.0), 1, 2, 2)
    later = SpeedsFitted(19, (0, 1, 2, 3), (8, 4, 2, 2), (0.0,) * 4, (9.0, 9.0, 9.0, 9.0), 1, 2, 2)
    records = (Record(fitted, 10.0, "rank 0", 1), Record(later, 20.0, "rank 0", 2))
    trial = Trial(RunDir(Path()), 0.0, records)
    # speeds of 1/2 + 1/2 + 1/4 + 1/4, over whole samples
    assert uneven._best_after(trial, 15.0, 6000) == pytest.approx(1.5)
