"""The curves that a view keeps: the whole run in bounded room, and only what still holds."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from evener import events, state
from evener.cli.trails import POINTS, TAIL, Curve, Trails
from evener.events import Event, Record
from tests.synthetic_run import Script, committed, formed, records, started, timed

SCRIPT = Script(steps=200, ranks=2)


def told(*told: Event) -> list[Record]:
    return [Record(event, 1000.0 + n, "t", n) for n, event in enumerate(told)]


def trails(*events_told: Event) -> Trails:
    made = Trails()
    made.add(told(*events_told))
    return made


def test_a_long_curve_keeps_its_ends_its_mean_and_a_bounded_length() -> None:
    curve = Curve()
    for step in range(1, 10_001):
        curve.add(step, float(step))
    assert POINTS // 2 <= len(curve.points) <= POINTS
    steps = [step for step, _ in curve.points]
    assert steps == sorted(set(steps))
    assert (steps[0] < 50, steps[-1]) == (True, 10_000)
    values = [value for _, value in curve.points]
    assert sum(values) / len(values) == pytest.approx(5000, rel=0.01)
    assert len(curve.coarse(40)) <= 40
    assert curve.coarse(40)[-1][0] == 10_000


def test_what_is_no_number_is_a_gap_only_where_there_is_nothing_else() -> None:
    curve = Curve(limit=4)
    for step, value in enumerate((1.0, math.nan, math.nan, math.inf, 3.0)):
        curve.add(step, value)
    assert [step for step, _ in curve.points] == [1, 3, 4]
    first, second, last = (value for _, value in curve.points)
    assert (first, last) == (1.0, 3.0)
    assert math.isnan(second)
    assert Curve().coarse(10) == []


def test_the_end_of_a_curve_is_there_before_its_point_is_whole() -> None:
    curve = Curve(limit=2)
    for step in (1, 2, 3):
        curve.add(step, 5.0)
    assert curve.points == [(2, 5.0), (3, 5.0)]


def test_a_fall_back_forgets_what_is_done_again() -> None:
    steps = [committed(SCRIPT, step, 1) for step in range(1, 11)]
    fallen = formed(SCRIPT, (0, 1), 6, 2)
    made = trails(started(SCRIPT), formed(SCRIPT, (0, 1), 0, 1), *steps, fallen)
    assert [step for step, _ in made.loss.points] == [1, 2, 3, 4, 5, 6]
    made.add(told(committed(SCRIPT, 7, 2)))
    assert [step for step, _ in made.speeds(100)] == [1, 2, 3, 4, 5, 6, 7]


def test_a_step_that_is_told_twice_is_one_point() -> None:
    made = trails(*(committed(SCRIPT, step, 1) for step in (1, 2, 2, 1, 3)))
    assert [step for step, _ in made.loss.points] == [1, 2, 3]


def test_a_step_without_time_has_no_speed() -> None:
    step = committed(SCRIPT, 1, 1)
    made = trails(replace(step, seconds=0.0), replace(step, step=2, seconds=math.nan))
    assert made.speeds(100) == []
    assert len(made.loss.points) == 2


def test_a_speed_over_several_steps_is_samples_by_time() -> None:
    step = committed(SCRIPT, 1, 1)
    made = trails(replace(step, seconds=0.1), replace(step, step=2, seconds=0.9))
    [(last, speed)] = made.speeds(1)
    assert last == 2
    assert speed == pytest.approx(2 * step.samples / 1.0)


def test_of_a_rank_the_last_speeds_are_kept_and_what_its_system_said() -> None:
    reports = [
        replace(timed(SCRIPT, 1, step, (0, 1)), samples_per_s=float(step), cpu_share=0.5)
        for step in range(1, 101)
    ]
    made = trails(*reports, replace(reports[-1], temperature_c=61.0, cpu_share=None))
    assert list(made.ranks[1].speeds) == [*map(float, range(102 - TAIL, 101)), 100.0]
    assert (made.ranks[1].cpu_share, made.ranks[1].temperature_c) == (None, 61.0)
    made.add(told(started(SCRIPT, resumed=True)))
    assert made.ranks == {}


def test_losses_from_before_the_first_record_come_from_the_state() -> None:
    everything = list(records(SCRIPT))
    shown = state.fold(everything)
    late = [
        r for r in everything if isinstance(r.event, events.StepCommitted) and r.event.step > 150
    ]
    made = Trails()
    made.begin(shown, late)
    made.add(late)
    assert [step for step, _ in made.loss.points] == list(range(1, 201))
    made = Trails()
    made.begin(shown, [])
    assert made.loss.points == list(shown.loss_tail)
