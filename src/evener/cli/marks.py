"""Bars and curves made of characters, for terminals that know Unicode and for those that do not."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Marks:
    """The characters a view may draw with. No meaning rests on one of them alone."""

    full: str
    empty: str
    spark: str  # from low to high
    block: str  # "" where a bar of several parts is drawn with the parts' letters
    dot: str
    dash: str
    rule: str
    more: str
    dots: str  # the empty pattern of braille, or "" where curves are drawn with stars


UNICODE = Marks("━", "─", "▁▂▃▄▅▆▇█", "▇", "·", "–", "─", "…", "\N{BRAILLE PATTERN BLANK}")
ASCII = Marks("#", "-", "_.-~=+*#", "", "|", "-", "-", "...", "")


def marks_for(encoding: str) -> Marks:
    """Unicode where the stream can carry it: a code page would turn a bar into questions marks."""
    try:
        needed = (UNICODE.full, UNICODE.spark, UNICODE.block, UNICODE.more, UNICODE.dots)
        "".join(needed).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


def bar(fraction: float, width: int, marks: Marks) -> tuple[str, str]:
    """The done and the open part of a bar of `width` characters."""
    done = min(width, max(0, int(fraction * width))) if math.isfinite(fraction) else 0
    return marks.full * done, marks.empty * (width - done)


def sparkline(
    values: Sequence[float], width: int, marks: Marks, *, low: float | None = None
) -> str:
    """The last values as one line of characters; each is the mean of its share of the values.

    Non-finite values are left out of the means; a place with none but those stays blank. `low`
    is what the lowest mark stands for, otherwise the lowest mean: from 0 on, a speed that hardly
    changes looks like one.
    """
    if not values or width < 1:
        return ""
    means = [_mean(cell) for cell in _cells(values, width)]
    finite = [m for m in means if m is not None]
    if not finite:
        return " " * len(means)
    bottom = min(finite) if low is None else min(low, *finite)
    span, top = max(finite) - bottom, len(marks.spark) - 1
    scale = top / span if span > 0 else 0.0
    return "".join(" " if m is None else marks.spark[round((m - bottom) * scale)] for m in means)


def _cells(values: Sequence[float], width: int) -> list[Sequence[float]]:
    count = min(width, len(values))
    edges = [len(values) * i // count for i in range(count + 1)]
    return [values[a:b] for a, b in itertools.pairwise(edges)]


def _mean(values: Sequence[float]) -> float | None:
    finite = [v for v in values if math.isfinite(v)]
    return sum(finite) / len(finite) if finite else None


def cut(parts: Sequence[float], width: int) -> list[int]:
    """How many of `width` characters each part gets; largest remainder, so they add up."""
    total = sum(p for p in parts if p > 0)
    if total <= 0:
        return [0] * len(parts)
    exact = [max(p, 0.0) / total * width for p in parts]
    cells = [int(e) for e in exact]
    by_remainder = sorted(range(len(parts)), key=lambda i: (cells[i] - exact[i], i))
    for i in by_remainder[: width - sum(cells)]:
        cells[i] += 1
    return cells
