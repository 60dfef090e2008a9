"""Which charts a run has: what it learned, how fast, and where each rank's time went."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

from evener import words
from evener.report.charts import COLOURS, Curve, Layer, Mark, Title, bars, curves, stack
from evener.report.markup import Markup
from evener.report.material import Material, Numbers, Points, Told

VALIDATION = "validation."
MOST_METRICS = 10  # charts of metrics besides the loss
MOST_BARS = 40  # ranks with a bar of their own
MARK_CHARACTERS = 200  # of what is said of a mark; the timeline has all of it
CELLS, GAP = 150, 2  # of the stacked chart: steps are put into cells; so many without a report
PARTS = ("data", "forward", "backward", "exchange", "wait", "optimizer", "other")
_NO_METRIC = {"loss", "seconds", "samples", "samples_per_s", "skipped"}
_TURNS = ("RankLost", "RankLeftOut", "RankParked", "GenerationFormed", "RunStarted")
_SAVED = "CheckpointWritten"


def losses(material: Material) -> Markup | None:
    """Training and validation on one chart, with what happened meanwhile."""
    shown = _pair(material.curves, "loss")
    if not shown:
        return None
    title = Title("loss", "Loss", _course("The loss", shown), "loss")
    return curves(title, shown, happened(material))


def metrics(material: Material) -> Iterator[Markup]:
    """A chart for each other number: of training, of validation, or of both."""
    bases = {name.removeprefix(VALIDATION): None for name in sorted(material.curves)}
    names = [name for name in bases if name not in _NO_METRIC]
    for number, name in enumerate(names[:MOST_METRICS]):
        shown = _pair(material.curves, name)
        if shown:
            title = Title(f"metric-{number}", name, _course(name, shown))
            yield curves(title, shown)


def _pair(known: Mapping[str, Points], name: str) -> list[Curve]:
    found = ((title, known.get(key)) for title, key in _both(name))
    return [
        _curve(title, points, dotted=title == "validation")
        for title, points in found
        if points is not None and any(_finite(value) for value in points.mean)
    ]


def _both(name: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("training", name), ("validation", VALIDATION + name)


def _curve(name: str, points: Points, *, dotted: bool) -> Curve:
    if points.exact:
        return Curve(name, points.step, points.mean, dotted=dotted)
    return Curve(name, points.step, points.mean, points.low, points.high, dotted)


def _course(what: str, shown: Sequence[Curve]) -> str:
    """A curve in words, for who does not see it."""
    return " ".join(_in_words(what, curve) for curve in shown)


def _in_words(what: str, curve: Curve) -> str:
    known = [(s, v) for s, v in zip(curve.step, curve.values, strict=True) if _finite(v)]
    (first, start), (last, end) = known[0], known[-1]
    least = min(known, key=lambda point: point[1] or 0.0)
    return (
        f"{what} of {curve.name}: {words.number(start)} at step {first}, {words.number(end)} at "
        f"step {last}; the lowest is {words.number(least[1])} at step {least[0]}."
    )


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


# ---------------------------------------------------------------------------------- marks


def happened(material: Material) -> list[Mark]:
    """What is drawn on charts: turns of the run as lines, checkpoints as flags at the foot."""
    found = ((told, _step(told, material)) for told in material.told)
    return [
        Mark(step, told.text[:MARK_CHARACTERS], told.level, small=told.kind == _SAVED)
        for told, step in found
        if step and (told.kind in (*_TURNS, _SAVED) or told.level in ("warning", "bad"))
    ]


def _step(told: Told, material: Material) -> int | None:
    """Its own step, or the last one that was taken by then."""
    loss = material.curves.get("loss")
    if told.step is not None or loss is None or not loss.step:
        return told.step
    at = bisect.bisect_right(loss.time, told.time)
    return loss.step[at - 1] if at else 0


# ---------------------------------------------------------------------------------- speed


def throughput(material: Material) -> Markup | None:
    """Of all together, as each rank's part of it; without their reports, the sum alone."""
    layers, steps = _layers(material.timings)
    if steps:
        about = "What each rank adds to the samples a second, one upon the other. "
        about += f"{len(material.timings)} ranks from step {steps[0]:g} to step {steps[-1]:g}."
        title = Title("speed", "Throughput by rank", about, "samples/s")
        return stack(title, steps, layers, happened(material))
    points = material.curves.get("samples_per_s")
    if points is None or not any(_finite(value) for value in points.mean):
        return None
    curve = _curve("all ranks", points, dotted=False)
    title = Title("speed", "Throughput", _course("Samples a second", [curve]), "samples/s")
    return curves(title, [curve], happened(material))


def _layers(timings: Mapping[int, Mapping[str, Numbers]]) -> tuple[list[Layer], list[float]]:
    """The ranks with the largest parts, and all others as one."""
    spans = [step for of in timings.values() for step in of["step"] if step is not None]
    reports = max((len(of["step"]) for of in timings.values()), default=0)
    if not spans:
        return [], []
    first, last = min(spans), max(spans)
    cells = max(min(CELLS, reports), 1)
    width = max((last - first) / cells, 1.0)
    cells = int((last - first) / width) + 1
    found = {rank: _cells(of, first, width, cells) for rank, of in timings.items()}
    by_part = sorted(found, key=lambda rank: (-sum(found[rank]), rank))
    named = by_part if len(by_part) <= COLOURS else by_part[: COLOURS - 1]
    layers = [Layer(f"rank {rank}", found[rank]) for rank in sorted(named)]
    others = [found[rank] for rank in by_part[len(named) :]]
    if others:
        rest = [sum(values) for values in zip(*others, strict=True)]
        layers.append(Layer(f"{len(others)} other ranks", rest))
    return layers, [min(first + (n + 1) * width, last) for n in range(cells)]


def _cells(of: Mapping[str, Numbers], first: float, width: float, cells: int) -> list[float]:
    """A rank's samples a second in each cell: its share over the step's time. Between two reports
    that are not far apart it was there all the time; else, where it said nothing, it was not."""
    sums, counts = [0.0] * cells, [0] * cells
    for step, share, step_s in zip(of["step"], of["share"], of["step_s"], strict=True):
        if step is not None and share is not None and step_s:
            cell = min(int((step - first) / width), cells - 1)
            sums[cell] += share / step_s
            counts[cell] += 1
    known = [cell for cell in range(cells) if counts[cell]]
    values = [total / max(count, 1) for total, count in zip(sums, counts, strict=True)]
    for before, after in itertools.pairwise(known):
        if after - before <= GAP + 1:
            values[before + 1 : after] = [values[before]] * (after - before - 1)
    return values


# ----------------------------------------------------------------------------------- time


def time_split(material: Material) -> Markup | None:
    """Where a step's time went, of each rank, over the whole run."""
    found = {rank: _parts(of) for rank, of in sorted(material.timings.items())}
    known = [(f"rank {rank}", parts) for rank, parts in found.items() if sum(parts) > 0]
    if not known:
        return None
    hidden = len(known) - MOST_BARS
    about = "For each rank, how its time is divided among the parts of a step. " + " ".join(
        f"{name}: {_divided(parts)}." for name, parts in known[:MOST_BARS]
    )
    text = "Where the time goes" + (f" ({hidden} more ranks are not shown)" if hidden > 0 else "")
    return bars(Title("time", text, about), PARTS, known[:MOST_BARS])


def _parts(of: Mapping[str, Numbers]) -> list[float]:
    """Seconds of a step by PARTS: means over all steps, whatever a report stands for."""
    weights = [step or 1.0 for step in of.get("steps", [1.0] * len(of["step"]))]
    parts = [_mean(of.get(f"{part}_s", ()), weights) for part in PARTS[:-1]]
    return [*parts, max(_mean(of["step_s"], weights) - sum(parts), 0.0)]


def _mean(values: Numbers, weights: Sequence[float]) -> float:
    known = [(v, w) for v, w in zip(values, weights, strict=False) if v is not None and v > 0]
    return sum(v * w for v, w in known) / sum(weights) if known else 0.0


def _divided(parts: Sequence[float]) -> str:
    total = sum(parts)
    shares = ((name, value / total) for name, value in zip(PARTS, parts, strict=True))
    return ", ".join(f"{name} {share * 100:.0f} %" for name, share in shares if share >= 0.005)
