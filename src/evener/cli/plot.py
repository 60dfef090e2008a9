"""Curves as lines of characters: dots of braille where the terminal has them, stars where not."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

from evener import words
from evener.cli.marks import Marks
from evener.cli.paper import text

LEAST_COLUMNS, LEAST_ROWS = 8, 2  # of the curve itself; less shows nothing
_BRAILLE = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # bits by row and column
_STAR, _RING = "*", "o"


@dataclass(frozen=True, slots=True)
class Line:
    """Values by step in one colour; what is not finite is a gap. Apart: a ring for each value."""

    points: Sequence[tuple[int, float]]
    style: str
    apart: bool = False

    @property
    def finite(self) -> list[tuple[int, float]]:
        return [point for point in self.points if math.isfinite(point[1])]


@dataclass(frozen=True, slots=True)
class _Frame:
    """What lies between the edges of a plot."""

    first: int
    last: int
    low: float
    high: float

    def place(self, point: tuple[int, float], width: int, height: int) -> tuple[int, int]:
        """Dots from the left and from the top."""
        across = (point[0] - self.first) / max(self.last - self.first, 1)
        down = (self.high - point[1]) / (self.high - self.low)
        return round(across * (width - 1)), round(min(max(down, 0.0), 1.0) * (height - 1))


class _Grid:
    """Characters made of dots, each in the colour of who set it last."""

    def __init__(self, columns: int, rows: int, marks: Marks) -> None:
        self._across, self._down = (2, 4) if marks.dots else (1, 1)
        self._blank = ord(marks.dots) if marks.dots else 0
        self.width, self.height = columns * self._across, rows * self._down
        self._bits = [[0] * columns for _ in range(rows)]
        self._rings = [[False] * columns for _ in range(rows)]
        self._styles = [[""] * columns for _ in range(rows)]

    def dot(self, x: int, y: int, style: str) -> None:
        row, column = y // self._down, x // self._across
        self._bits[row][column] |= _BRAILLE[y % 4][x % 2]
        self._styles[row][column] = style

    def ring(self, x: int, y: int, style: str) -> None:
        row, column = y // self._down, x // self._across
        self._rings[row][column] = True
        self._styles[row][column] = style

    def join(self, start: tuple[int, int], end: tuple[int, int], style: str) -> None:
        """A line of dots without gaps."""
        across, down = end[0] - start[0], end[1] - start[1]
        count = max(abs(across), abs(down), 1)
        for i in range(count + 1):
            self.dot(
                start[0] + round(across * i / count), start[1] + round(down * i / count), style
            )

    def lines(self) -> Iterator[Text]:
        for row, styles in enumerate(self._styles):
            cells = [(self._character(row, column), s) for column, s in enumerate(styles)]
            runs = itertools.groupby(cells, key=lambda cell: cell[1])
            yield text(*(("".join(c for c, _ in run), style) for style, run in runs))

    def _character(self, row: int, column: int) -> str:
        if self._rings[row][column]:
            return _RING
        bits = self._bits[row][column]
        if not bits:
            return " "
        return chr(self._blank + bits) if self._blank else _STAR


def plot(
    lines: Sequence[Line], columns: int, rows: int, marks: Marks, *, low: float | None = None
) -> list[Text]:
    """`rows` lines of at most `columns`: values at the left, the steps in the last line.

    Nothing where there is too little room, or no value. `low` is where the values begin;
    otherwise at the lowest.
    """
    frame = _frame(lines, low)
    if frame is None:
        return []
    labels = _labels(frame, rows - 1)
    indent = max(map(len, labels), default=0) + 1
    if columns - indent < LEAST_COLUMNS or rows - 1 < LEAST_ROWS:
        return []
    grid = _Grid(columns - indent, rows - 1, marks)
    for line in lines:
        _draw(line, frame, grid)
    drawn = [
        text((f"{label:>{indent - 1}} ", "dim"), curve)
        for label, curve in zip(labels, grid.lines(), strict=True)
    ]
    return [*drawn, _steps(frame, indent, columns)]


def _frame(lines: Sequence[Line], low: float | None) -> _Frame | None:
    points = [point for line in lines for point in line.finite]
    if not points:
        return None
    values = [value for _, value in points] + ([] if low is None else [low])
    bottom, top = min(values), max(values)
    if not top > bottom:
        pad = abs(top) / 10 or 1.0
        bottom, top = (bottom, top + pad) if low is not None else (bottom - pad, top + pad)
    if not math.isfinite(top - bottom):
        return None  # no scale holds both
    steps = [step for step, _ in points]
    return _Frame(min(steps), max(steps), bottom, top)


def _draw(line: Line, frame: _Frame, grid: _Grid) -> None:
    if line.apart:
        for point in line.finite:
            grid.ring(*frame.place(point, grid.width, grid.height), line.style)
        return
    before: tuple[int, int] | None = None
    for point in line.points:
        if not math.isfinite(point[1]):
            before = None
            continue
        here = frame.place(point, grid.width, grid.height)
        grid.join(before or here, here, line.style)
        before = here


def _labels(frame: _Frame, rows: int) -> list[str]:
    """Of the highest value, the lowest, and one between them where there is room."""
    labels = [""] * max(rows, 0)
    shown = {0: frame.high, rows - 1: frame.low}
    if rows >= 5 and rows % 2:
        shown[rows // 2] = (frame.high + frame.low) / 2
    for row, value in shown.items():
        if 0 <= row < rows:
            labels[row] = words.number(value, 3)
    return labels


def _steps(frame: _Frame, indent: int, columns: int) -> Text:
    first, last = str(frame.first), f"step {frame.last}"
    gap = columns - indent - len(first) - len(last)
    line = f"{first}{' ' * gap}{last}" if gap > 0 else last[: columns - indent]
    return text((" " * indent + line, "dim"))
