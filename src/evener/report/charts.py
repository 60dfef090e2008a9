"""Charts as SVG: curves by step, areas one upon the other, and bars of parts.

Colours are classes that the page's style fills in, for light and for dark. None of them says
anything alone: there is a legend, a sentence for who does not see it, and tables beside it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evener.report.markup import Child, Markup, group, tag
from evener.report.material import Numbers
from evener.report.scale import Scale, fitted, labels

WIDTH, HEIGHT = 720, 250
LEFT, RIGHT, TOP, BOTTOM = 62.0, 708.0, 26.0, 208.0
COLOURS = 8
MOST_MARKS, MOST_DOTS = 80, 60  # more would hide what they are drawn over
ROW, BAR = 24.0, 15.0  # of a chart of bars
_FLAG = 6.0


@dataclass(frozen=True, slots=True)
class Title:
    """What a chart is called, and what it shows, in words. `key` is its own in the page."""

    key: str
    text: str
    about: str
    down: str = ""  # what its values are


@dataclass(frozen=True, slots=True)
class Curve:
    """Values by step; with `low` and `high` also the span that each of them stands for."""

    name: str
    step: Sequence[float]
    values: Numbers
    low: Numbers = ()
    high: Numbers = ()
    dotted: bool = False  # few values: each is marked


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a step. `small`: as a flag at the foot, not across the chart."""

    step: int
    text: str
    level: str = "note"
    small: bool = False


@dataclass(frozen=True, slots=True)
class Layer:
    """One of the areas that lie upon each other."""

    name: str
    values: Sequence[float]


def curves(title: Title, shown: Sequence[Curve], marks: Sequence[Mark] = ()) -> Markup:
    """Curves over one another, with what happened meanwhile."""
    across = _steps([step for curve in shown for step in curve.step])
    everything = (v for c in shown for v in (*c.values, *c.low, *c.high))
    down = fitted(everything, BOTTOM, TOP)
    drawn: list[Child] = [*_axes(across, down, title.down), *_marks(marks, across)]
    for number, curve in enumerate(shown):
        drawn += _curve(curve, f"s{number % COLOURS}", across, down)
    names = [curve.name for curve in shown]
    return _figure(title, drawn, HEIGHT, names if len(names) > 1 else [], "line")


def stack(
    title: Title, steps: Sequence[float], layers: Sequence[Layer], marks: Sequence[Mark] = ()
) -> Markup:
    """Areas upon each other: their sum is the upper edge. Every layer has a value at every step."""
    across = _steps(steps)
    totals = [sum(values) for values in zip(*(layer.values for layer in layers), strict=True)]
    down = fitted(totals, BOTTOM, TOP, floor=0.0)
    areas: list[Child] = []
    below = [0.0] * len(steps)
    for number, layer in enumerate(layers):
        above = [b + v for b, v in zip(below, layer.values, strict=True)]
        upper = [(across.at(x), down.at(y)) for x, y in zip(steps, above, strict=True)]
        lower = [(across.at(x), down.at(y)) for x, y in zip(steps, below, strict=True)]
        outline = _joined([*upper, *reversed(lower)])
        areas.append(tag("path", tag("title", layer.name), class_=_area(number), d=outline + "Z"))
        below = above
    drawn = [*areas, *_axes(across, down, title.down), *_marks(marks, across)]
    return _figure(title, drawn, HEIGHT, [layer.name for layer in layers], "area")


def bars(title: Title, parts: Sequence[str], rows: Sequence[tuple[str, Sequence[float]]]) -> Markup:
    """One bar for each row, all of one length, cut as its parts are."""
    drawn: list[Child] = []
    for number, (name, values) in enumerate(rows):
        top = 4.0 + number * ROW
        drawn.append(tag("text", name, class_="tick end", x=LEFT - 8, y=top + BAR - 3))
        total = sum(values) or 1.0
        starts = itertools.accumulate(values, initial=0.0)
        for part, (start, value) in enumerate(zip(starts, values, strict=False)):
            said = tag("title", f"{name}: {parts[part]} {value / total * 100:.0f} %")
            left, right = (LEFT + (RIGHT - LEFT) * v / total for v in (start, start + value))
            if right - left >= 0.1:
                place = {"x": left, "y": top, "width": right - left, "height": BAR}
                drawn.append(tag("rect", said, class_=_area(part), **place))
    return _figure(title, drawn, round(len(rows) * ROW + 8), list(parts), "area")


# ------------------------------------------------------------------------------ the frame


def _figure(
    title: Title, drawn: Sequence[Child], height: int, names: Sequence[str], shape: str
) -> Markup:
    named = {"role": "img", "aria_labelledby": f"{title.key}-title {title.key}-about"}
    picture = tag(
        "svg",
        tag("title", title.text, id=f"{title.key}-title"),
        tag("desc", title.about, id=f"{title.key}-about"),
        *drawn,
        viewBox=f"0 0 {WIDTH} {height}",
        **named,
    )
    return tag("figure", tag("figcaption", title.text), picture, _legend(names, shape))


def _legend(names: Sequence[str], shape: str) -> Markup | None:
    if not names:
        return None
    entries = []
    for number, name in enumerate(names):
        if shape == "line":
            sample = tag("path", class_=f"line s{number % COLOURS}", d="M0 6h22")
        else:
            sample = tag("rect", class_=_area(number), x=4, y=0, width=14, height=12)
        swatch = tag("svg", sample, class_="swatch", viewBox="0 0 22 12", aria_hidden="true")
        entries.append(tag("li", swatch, name))
    return tag("ul", *entries, class_="legend")


def _area(number: int) -> str:
    """Beyond the colours there are, the same ones again."""
    return f"area s{number % COLOURS}"


def _steps(steps: Sequence[float]) -> Scale:
    low, high = min(steps, default=0.0), max(steps, default=1.0)
    return Scale(low, max(high, low + 1.0), LEFT, RIGHT)


def _axes(across: Scale, down: Scale, name: str) -> Iterator[Markup]:
    at = [down.at(value) for value in down.ticks]
    for y, label in zip(at, labels(down.ticks), strict=True):
        yield tag("line", class_="grid", x1=LEFT, x2=RIGHT, y1=y, y2=y)
        yield tag("text", label, class_="tick end", x=LEFT - 8, y=y + 4)
    steps = [step for step in across.ticks if step == round(step)]
    for step, label in zip(steps, labels(steps), strict=True):
        x = across.at(step)
        yield tag("line", class_="axis", x1=x, x2=x, y1=BOTTOM, y2=BOTTOM + 4)
        yield tag("text", label, class_="tick middle", x=x, y=BOTTOM + 18)
    yield tag("line", class_="axis", x1=LEFT, x2=RIGHT, y1=BOTTOM, y2=BOTTOM)
    yield tag("text", "step", class_="tick end", x=RIGHT, y=BOTTOM + 34)
    yield tag("text", name, class_="tick", x=4, y=14)


def _marks(marks: Sequence[Mark], across: Scale) -> Iterator[Markup]:
    inside = [mark for mark in marks if across.low <= mark.step <= across.high]
    for mark in inside[-MOST_MARKS:]:
        x, said = across.at(mark.step), tag("title", f"step {mark.step}: {mark.text}")
        if mark.small:
            flag = f"M{x:.1f} {BOTTOM:.0f}l-4 {_FLAG:.0f}h8Z"
            yield tag("path", said, class_=f"flag {_level(mark.level)}", d=flag)
        else:
            place = {"x1": x, "x2": x, "y1": TOP - _FLAG, "y2": BOTTOM}
            yield tag("line", said, class_=f"mark {_level(mark.level)}", **place)


def _level(level: str) -> str:
    """As a class of the page's style, whatever was written into the record."""
    return level if level in ("good", "warning", "bad") else "note"


# ----------------------------------------------------------------------------- the curves


def _curve(curve: Curve, colour: str, across: Scale, down: Scale) -> Iterator[Markup]:
    if curve.low and curve.high:
        yield tag("path", class_=f"band {colour}", d=_band(curve, across, down))
    parts = list(_parts(curve.step, curve.values, across, down))
    yield tag("path", class_=f"line {colour}", d="".join(map(_joined, parts)))
    if curve.dotted and len(curve.values) <= MOST_DOTS:
        dots = [tag("circle", class_="dot", cx=x, cy=y, r=3) for part in parts for x, y in part]
        yield tag("g", group(dots), class_=colour)


def _band(curve: Curve, across: Scale, down: Scale) -> str:
    """Around what has both a lowest and a highest value."""
    both = [down.holds(a) and down.holds(b) for a, b in zip(curve.low, curve.high, strict=True)]
    low, high = (
        [value if whole else None for value, whole in zip(values, both, strict=True)]
        for values in (curve.low, curve.high)
    )
    upper = _parts(curve.step, high, across, down)
    lower = _parts(curve.step, low, across, down)
    return "".join(_joined([*u, *reversed(d)]) + "Z" for u, d in zip(upper, lower, strict=True))


def _parts(
    steps: Sequence[float], values: Numbers, across: Scale, down: Scale
) -> Iterator[list[tuple[float, float]]]:
    """Places of values, as far as they are numbers one after the other."""
    part: list[tuple[float, float]] = []
    for step, value in zip(steps, values, strict=True):
        if value is not None and down.holds(value):
            part.append((across.at(step), down.at(value)))
        elif part:
            yield part
            part = []
    if part:
        yield part


def _joined(places: Sequence[tuple[float, float]]) -> str:
    """A path through them; of a single one a dot, if its line has round ends."""
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    return path + "h0" if len(places) == 1 else path
