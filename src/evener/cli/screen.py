"""The picture that `evener top` fills a terminal with, and what a key changes in it. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.text import Text

from evener import words
from evener.cli.console import clean
from evener.cli.marks import Marks
from evener.cli.paper import GAP, fit, flow, text
from evener.cli.plot import Line, plot
from evener.cli.ranks import together
from evener.cli.render import Canvas, heading, measures, telling
from evener.cli.roster import ORDERS, in_order, machine_lines, rank_lines
from evener.cli.trails import Trails
from evener.state import RankView, RunState

WIDEST, USUAL_HEIGHT = 250, 24
SIDE_BY_SIDE = 70  # columns from which on there are two charts
LOWEST_CHART, HIGHEST_CHART = 7, 18
PAGE = 10  # ranks
LONGEST_LINE = 1000  # characters of a log's line that are looked at
_TAB = 4
# What colours a log on a terminal, or steers it otherwise.
_SEQUENCE = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_FAR = 1 << 20
_MOVES = {
    "j": 1, "down": 1, "k": -1, "up": -1, "page down": PAGE, "page up": -PAGE,
    "home": -_FAR, "end": _FAR,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Look:
    """What the person at the terminal has chosen to see."""

    order: str = next(iter(ORDERS))
    rank: int | None = None  # None: whichever is first
    log: bool = False  # of that rank, in place of what happened


@dataclass(frozen=True, slots=True)
class Sight:
    """All that there is to see."""

    state: RunState
    told: Sequence[words.Sentence]
    trails: Trails
    log: Sequence[str] = ()  # the last lines of the chosen rank's
    look: Look = Look()
    now: float = 0.0
    hint: str = ""


def chosen(look: Look, state: RunState) -> int | None:
    """The rank that is pointed at; one that is gone leaves its place to the first."""
    ranks = [rank.rank for rank in in_order(state, look.order)]
    if look.rank in ranks:
        return look.rank
    return ranks[0] if ranks else None


def pressed(look: Look, key: str, state: RunState) -> Look:
    """What is looked at after `key`; one without a meaning changes nothing."""
    if key == "s":
        orders = list(ORDERS)
        return replace(look, order=orders[(orders.index(look.order) + 1) % len(orders)])
    if key == "l":
        return replace(look, log=not look.log)
    ranks = [rank.rank for rank in in_order(state, look.order)]
    now = chosen(look, state)
    if key not in _MOVES or now is None:
        return look
    at = min(max(ranks.index(now) + _MOVES[key], 0), len(ranks) - 1)
    return replace(look, rank=ranks[at])


# --------------------------------------------------------------------------------- layout


def screen(sight: Sight, canvas: Canvas) -> list[Text]:
    """As many lines as `canvas` is high, none wider: what matters most stays longest."""
    canvas = replace(canvas, widest=WIDEST)
    height = canvas.height or USUAL_HEIGHT
    head = heading(sight.state, canvas, sight.now)
    measured = len(measures(sight.state, canvas, None))
    room = max(height - 1 - len(head) - measured, 0)
    ranks, pane, charts, machines = given = heights(room, _wanted(sight, room))
    lines = [
        *head,
        *measures(sight.state, canvas, None if charts else sight.trails),
        *_charts(sight, canvas, charts),
        *_ranks(sight, canvas, ranks),
        *_machines(sight, canvas, machines),
        *_pane(sight, canvas, pane and pane + room - sum(given)),
    ][: height - 1]
    lines += [text()] * (height - 1 - len(lines))
    shown = [*lines, _foot(sight, canvas)]
    return [fit(line, canvas.columns, canvas.marks) for line in shown]


def _wanted(sight: Sight, room: int) -> list[tuple[int, int]]:
    """At least and at most so many lines of ranks, events or log, charts, machines."""
    ranks = len(sight.state.ranks)
    rows = sum(1 + len(m.load.gpus if m.load else ()) for m in sight.state.machines)
    curve = len(Line(sight.trails.loss.points, "").finite) > 1
    return [
        (min(ranks, 2) + 1, min(ranks + 4, max(room // 2, 5))) if ranks else (0, 0),
        (2, max(room // 3, 2)),
        (LOWEST_CHART, min(max(room // 3, LOWEST_CHART), HIGHEST_CHART)) if curve else (0, 0),
        (3, min(rows + 2, max(room // 4, 3))) if rows else (0, 0),
    ]


def heights(room: int, wanted: Sequence[tuple[int, int]]) -> list[int]:
    """Lines for parts that want (at least, at most) so many, the most important first.

    Each gets its least, or nothing; what is left then goes to them in the same order.
    """
    given = [0] * len(wanted)
    for number, (least, most) in enumerate(wanted):
        if 0 < least <= min(most, room):
            given[number] = least
            room -= least
    for number, (_, most) in enumerate(wanted):
        if given[number]:
            more = min(most - given[number], room)
            given[number] += more
            room -= more
    return given


def _rule(title: str, width: int, marks: Marks, note: str = "") -> Text:
    after = f" {note}" if note else ""
    line = marks.rule * max(width - len(title) - len(after) - 4, 1)
    return text((f"{marks.rule * 2} ", "dim"), (title, "bold"), (f" {line}{after}", "dim"))


# --------------------------------------------------------------------------------- charts


def _charts(sight: Sight, canvas: Canvas, height: int) -> list[Text]:
    if not height:
        return []
    state, trails, width = sight.state, sight.trails, canvas.columns
    validated = [(view.step, view.loss) for view in state.validations]
    losses = [Line(trails.loss.points, "cyan"), Line(validated, "yellow", apart=True)]
    title = "loss (o: validation)" if validated else "loss"
    right = (width - GAP) * 2 // 5 if width >= SIDE_BY_SIDE else 0
    left = width - GAP - right if right else width
    chart = _chart(title, plot(losses, left, height - 1, canvas.marks), left, canvas.marks)
    if not right:
        return chart
    speed = [Line(trails.speeds(right), "green")]
    drawn = plot(speed, right, height - 1, canvas.marks, low=0.0)
    return _beside(chart, _chart("samples/s", drawn, right, canvas.marks), left)


def _chart(title: str, drawn: list[Text], width: int, marks: Marks) -> list[Text]:
    return [_rule(title, width, marks), *drawn]


def _beside(left: list[Text], right: list[Text], width: int) -> list[Text]:
    pairs = itertools.zip_longest(left, right, fillvalue=text())
    return [text(a, " " * (width - a.cell_len + GAP), b) for a, b in pairs]


# ----------------------------------------------------------------------------------- rows


def _ranks(sight: Sight, canvas: Canvas, height: int) -> list[Text]:
    """What goes with the table (its rule, the bars' meaning, all speeds together) comes where
    three ranks have their lines."""
    if not height:
        return []
    state, width, marks = sight.state, canvas.columns, canvas.marks
    ranks = in_order(state, sight.look.order)
    spare = max(height - 1 - min(len(ranks), 3), 0)
    ruled = spare >= 1
    explained = spare >= 2 and any(rank.step_s for rank in ranks)
    speeds = together(state, width)[: max(spare - 2, 0)]
    room = height - 1 - ruled - explained - len(speeds)
    pointed = chosen(sight.look, state)
    at = next(number for number, rank in enumerate(ranks) if rank.rank == pointed)
    first = min(max(at - room // 2, 0), max(len(ranks) - room, 0))
    shown = ranks[first : first + room]
    lines, meaning = rank_lines(shown, state, sight.trails, width, marks)
    if len(ranks) > 1:
        _point(lines[1 + at - first], width)
    note = sight.look.order + _part(first, shown, ranks)
    rule = [_rule("ranks", width, marks, note)] * ruled
    return [*rule, *lines, *[meaning] * explained, *speeds]


def _part(first: int, shown: Sequence[RankView], ranks: Sequence[RankView]) -> str:
    if len(shown) == len(ranks):
        return ""
    return f", {first + 1} to {first + len(shown)} of {len(ranks)}"


def _point(line: Text, width: int) -> None:
    line.append(" " * max(width - line.cell_len, 0))
    line.stylize("reverse")


def _machines(sight: Sight, canvas: Canvas, height: int) -> list[Text]:
    if not height:
        return []
    lines = machine_lines(sight.state.machines, canvas.columns, canvas.marks)
    hidden = len(lines) - (height - 1)
    note = f"{hidden} more" if hidden > 0 else ""
    return [_rule("machines", canvas.columns, canvas.marks, note), *lines[: height - 1]]


def _pane(sight: Sight, canvas: Canvas, height: int) -> list[Text]:
    """The last that happened, or the end of a rank's log."""
    if not height:
        return []
    if not sight.look.log:
        lines = telling(sight.told, canvas, height - 1)
        return [_rule("events", canvas.columns, canvas.marks), *lines]
    rank = chosen(sight.look, sight.state)
    title = "log" if rank is None else f"log of rank {rank}"
    lines = [text(readable(line)) for line in sight.log[-(height - 1) :]]
    nothing = text(("nothing was written yet", "dim"))
    return [_rule(title, canvas.columns, canvas.marks), *(lines or [nothing])]


def readable(line: str) -> str:
    """A log's line without what would steer the terminal; colours go, the words stay."""
    words_only = _SEQUENCE.sub("", line[:LONGEST_LINE]).replace("\n", " ")
    return clean(words_only.expandtabs(_TAB))


def _foot(sight: Sight, canvas: Canvas) -> Text:
    leave = "q leaves" if sight.state.ended else "q leaves, the run goes on"
    pane = "l events" if sight.look.log else "l log of the rank"
    keys = (sight.hint, leave, "j k choose a rank", f"s {sight.look.order}", pane)
    return flow([text((key, "dim")) for key in keys if key], canvas.columns)
