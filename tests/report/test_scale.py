"""Round numbers along the edges of a chart, and places that stay on it."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evener.report.scale import fitted, labels, powers, ticks


@pytest.mark.parametrize(
    ("low", "high", "round_ones"),
    [
        (0.0, 100.0, [0, 20, 40, 60, 80, 100]),
        (1.5, 4.2, [2, 3, 4]),
        (0.0, 400.0, [0, 100, 200, 300, 400]),
        (-1.0, 1.0, [-1, -0.5, 0, 0.5, 1]),
        (0.0, 3e-5, [0, 1e-5, 2e-5, 3e-5]),
        (5.0, 5.0, [5]),
        (-1.7e308, 1.7e308, [-1.7e308]),
    ],
)
def test_ticks_are_one_two_or_five_apart(low: float, high: float, round_ones: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(round_ones)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_there_are_some_ticks_and_not_too_many(low: float, span: float) -> None:
    found = ticks(low, low + span)
    assert 2 <= len(found) <= 7
    gaps = [b - a for a, b in itertools.pairwise(found)]
    assert gaps == pytest.approx([gaps[0]] * len(gaps), rel=1e-3)
    assert low - gaps[0] / 1000 <= found[0]
    assert found[-1] <= low + span + gaps[0] / 1000


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([0.0, 0.5, 1.0], ["0.0", "0.5", "1.0"]),
        ([0.0, 20000.0, 40000.0], ["0", "20,000", "40,000"]),
        ([0.0, 1e6, 2e6], ["0", "1e+06", "2e+06"]),
        ([0.0, 0.0002], ["0", "0.0002"]),
        ([0.1 + 0.2, 0.4], ["0.3", "0.4"]),
        ([2.0], ["2"]),
        ([0.0], ["0"]),
        ([], []),
    ],
)
def test_labels_have_the_digits_that_tell_them_apart(values: list[float], shown: list[str]) -> None:
    assert labels(values) == shown


def test_where_one_value_is_far_off_there_are_powers_of_ten() -> None:
    scale = fitted([1.0, 2.0, 1e30], 0.0, 100.0)
    assert scale.log
    assert (scale.at(1.0), scale.at(1e15), scale.at(1e30)) == pytest.approx((0, 50, 100))
    assert not scale.holds(0.0)
    assert scale.ticks == pytest.approx([1, 1e5, 1e10, 1e15, 1e20, 1e25, 1e30])
    assert not fitted([0.0, 2.0, 1e30], 0.0, 100.0).log
    assert not fitted([1.0, 2.0, 1e30], 0.0, 100.0, floor=0.0).log
    assert not fitted([0.005, 0.8, 0.9, 0.95], 0.0, 100.0).log
    assert powers(0.5, 200.0) == [1, 10, 100]


def test_a_scale_holds_what_it_was_made_for_and_no_more() -> None:
    scale = fitted([2.0, None, math.nan, 4.0, math.inf], 208.0, 26.0)
    assert 26 < scale.at(4.0) < scale.at(3.0) < scale.at(2.0) < 208
    assert scale.at(-1e9) == 208
    assert scale.at(1e9) == 26
    assert [scale.holds(v) for v in (None, math.nan, math.inf, 3.0)] == [False, False, False, True]


@pytest.mark.parametrize("values", [[], [None], [math.nan], [5.0], [0.0], [-1.7e308, 1.7e308]])
def test_there_is_a_scale_for_anything(values: list[float | None]) -> None:
    scale = fitted(values, 0.0, 100.0)
    for value in values or [1.0]:
        if value is not None and math.isfinite(value):
            assert 0 <= scale.at(value) <= 100
    assert all(0 <= scale.at(tick) <= 100 for tick in scale.ticks)


def test_what_differs_by_rounding_is_one_value() -> None:
    scale = fitted([0.05, math.nextafter(0.05, 1.0)], 0.0, 100.0)
    assert scale.at(0.05) == pytest.approx(50)
    assert len(set(labels(scale.ticks))) == len(scale.ticks) > 1


def test_an_area_stands_on_zero() -> None:
    scale = fitted([900.0, 960.0], 208.0, 26.0, floor=0.0)
    assert scale.at(0.0) == 208
    assert scale.low == 0
