from __future__ import annotations

import math

import pytest

from evener.cli.marks import ASCII, UNICODE, bar, cut, marks_for, sparkline


@pytest.mark.parametrize(
    ("encoding", "marks"),
    [
        ("utf-8", UNICODE),
        ("UTF-8", UNICODE),
        ("cp1252", ASCII),
        ("ascii", ASCII),
        ("latin-1", ASCII),
        ("no-such-encoding", ASCII),
    ],
)
def test_unicode_only_where_it_can_be_written(encoding: str, marks: object) -> None:
    assert marks_for(encoding) is marks


def test_ascii_marks_are_ascii() -> None:
    for name in ASCII.__dataclass_fields__:
        assert getattr(ASCII, name).isascii()


@pytest.mark.parametrize(
    ("fraction", "done"), [(0, 0), (0.5, 5), (0.99, 9), (1, 10), (1.5, 10), (-1, 0), (math.nan, 0)]
)
def test_a_bar_is_full_only_at_the_end(fraction: float, done: int) -> None:
    full, empty = bar(fraction, 10, ASCII)
    assert (full, empty) == ("#" * done, "-" * (10 - done))


def test_a_sparkline_goes_from_its_lowest_to_its_highest_mark() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8, UNICODE) == "▁▂▃▄▅▆▇█"


def test_a_long_curve_is_averaged_into_its_width() -> None:
    assert sparkline([0, 0, 4, 4, 7, 7], 3, UNICODE) == "▁▅█"


def test_a_flat_curve_lies_at_the_bottom() -> None:
    assert sparkline([2.0, 2.0], 8, ASCII) == "__"


def test_what_is_no_number_leaves_a_gap_and_no_trace_elsewhere() -> None:
    assert sparkline([0.0, math.nan, 7.0], 3, UNICODE) == "▁ █"
    assert sparkline([math.inf, math.nan], 2, UNICODE) == "  "
    assert sparkline([], 5, UNICODE) == ""


def test_parts_share_the_width_without_rest() -> None:
    assert cut([1, 1, 1], 10) == [4, 3, 3]
    assert cut([0.7, 0.2, 0.1], 10) == [7, 2, 1]
    assert sum(cut([0.123, 4.5, 0.01, 2.2], 37)) == 37
    assert cut([0, 0], 10) == [0, 0]
    assert cut([], 10) == []
