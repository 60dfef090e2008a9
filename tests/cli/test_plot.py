"""Curves made of characters: where they begin and end, and that they fit."""

from __future__ import annotations

import math

import pytest

from evener.cli.marks import ASCII, UNICODE, Marks
from evener.cli.plot import Line, plot

RISING = Line([(step, float(step)) for step in range(0, 101)], "cyan")


def drawn(
    *lines: Line,
    columns: int = 40,
    rows: int = 10,
    marks: Marks = UNICODE,
    low: float | None = None,
) -> list[str]:
    return [line.plain for line in plot(lines, columns, rows, marks, low=low)]


def cells(rows: list[str], label: str) -> list[str]:
    """Without the labels at the left and the steps below."""
    return [row[len(label) + 1 :] for row in rows[:-1]]


@pytest.mark.parametrize("marks", [UNICODE, ASCII])
def test_a_rising_line_goes_from_the_lower_left_to_the_upper_right(marks: Marks) -> None:
    rows = drawn(RISING, marks=marks)
    assert len(rows) == 10
    curve = cells(rows, "50.0")
    assert curve[-1][0] != " "
    assert curve[0][-1] != " "
    assert curve[0][:10].strip() == ""
    assert all(row.strip() for row in curve)
    if marks is ASCII:
        assert "".join(rows).isascii()


def test_the_edges_say_what_they_are() -> None:
    rows = drawn(RISING)
    assert rows[0].startswith(" 100 ")
    assert rows[4].startswith("50.0 ")
    assert rows[8].startswith("   0 ")
    assert rows[-1].split() == ["0", "step", "100"]
    assert rows[-1].endswith("step 100")


def test_what_is_no_number_leaves_a_gap() -> None:
    rows = drawn(Line([(0, 1.0), (50, math.nan), (100, 1.0)], ""), low=0.0)
    [row] = [row for row in cells(rows, "0.500") if row.strip()]
    assert row[0] != " "
    assert row[-1] != " "
    assert row[1:-1].strip() == ""


def test_values_that_stand_apart_are_rings_over_the_line() -> None:
    rows = drawn(RISING, Line([(0, 0.0), (100, 100.0)], "yellow", apart=True))
    assert "".join(rows[:-1]).count("o") == 2
    assert cells(rows, "50.0")[-1][0] == "o"


def test_a_flat_line_has_a_scale_too() -> None:
    flat = Line([(1, 5.0), (2, 5.0)], "")
    assert sum(bool(row.strip()) for row in cells(drawn(flat), "5.00")) == 1
    from_zero = drawn(flat, low=0.0)
    assert from_zero[0].startswith("5.00 ")
    assert from_zero[0][5:].strip()
    assert drawn(Line([(1, 0.0)], ""), low=0.0)


@pytest.mark.parametrize(
    "line",
    [
        Line([], ""),
        Line([(1, math.nan), (2, math.inf)], ""),
        Line([(1, -1.7e308), (2, 1.7e308)], ""),
    ],
)
def test_without_a_value_or_a_scale_there_is_no_chart(line: Line) -> None:
    assert drawn(line) == []


@pytest.mark.parametrize("marks", [UNICODE, ASCII])
@pytest.mark.parametrize("columns", [1, 8, 14, 15, 38, 100, 199])
@pytest.mark.parametrize("rows", [0, 1, 2, 3, 4, 9, 30])
def test_it_fits_or_is_not_there(columns: int, rows: int, marks: Marks) -> None:
    spikes = Line([(step, (-1.0) ** step * step * 1e5) for step in range(500)], "cyan")
    shown = plot([spikes, RISING], columns, rows, marks)
    assert len(shown) in (0, rows)
    assert all(line.cell_len <= columns for line in shown)
    assert bool(shown) == (rows >= 3 and columns >= 15)
