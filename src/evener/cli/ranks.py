"""The table of ranks: who does what share, how fast it is alone, and where its time goes."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from evener import words
from evener.cli.console import clean
from evener.cli.marks import Marks, cut, sparkline
from evener.cli.paper import GAP, columns, text
from evener.cli.trails import Trails
from evener.state import RankView, RunState
from evener.units import show_size

IDLE = "wait"  # for slower ranks: drawn as what it is, nothing done
# In the order in which a step does them: name, letter where there is no colour, colour.
PARTS = (
    ("data", "d", "yellow"),
    ("forward", "f", "blue"),
    ("backward", "b", "cyan"),
    ("exchange", "x", "magenta"),
    (IDLE, "w", "dim"),
    ("optimizer", "o", "green"),
)
STATES = {
    "starting": "yellow",
    "built": "yellow",
    "training": "green",
    "parked": "yellow",
    "lost": "red",
    "ended": "dim",
}
WORKING = ("training", "ended")  # who has ended had the share it is shown with
HEADINGS = ("rank", "device", "state", "share", "", "own speed", "memory", "where its time goes")
FLUSH_RIGHT = (0, 3, 4, 5, 6)
WIDEST_BAR, GOOD_BAR, NARROWEST_BAR = 40, 24, 10
COURSE = 12  # columns of a rank's speed as a curve, where a good bar and any reason fit beside it


def rank_table(
    state: RunState, width: int, room: int, marks: Marks, trails: Trails | None = None
) -> list[Text]:
    """Headings, ranks, legend; what the room cannot hold is counted instead of shown."""
    if not state.ranks or room < 3:
        return []
    shown, hidden = _chosen(state.ranks, room - 2)
    total = share_total(state)
    rows = [[text((h, "dim")) for h in HEADINGS]]
    rows += [[*_facts(rank, total), text()] for rank in shown]
    used = columns(rows, FLUSH_RIGHT)[0].cell_len - len(HEADINGS[-1])
    needed = max(GOOD_BAR, *(time_bar(rank, 0, marks).cell_len for rank in shown), 0)
    if trails and trails.ranks and width - used - COURSE - GAP >= needed:
        used += COURSE + GAP
        cells = [text((f"{'lately':{COURSE}}", "dim"))]
        cells += [course(rank, trails, COURSE, marks) for rank in shown]
        rows = [[*row[:-1], cell, row[-1]] for row, cell in zip(rows, cells, strict=True)]
    room_for_bar = max(min(width - used, WIDEST_BAR), NARROWEST_BAR)
    rows = rows[:1] + [
        [*row[:-1], time_bar(rank, room_for_bar, marks)]
        for row, rank in zip(rows[1:], shown, strict=True)
    ]
    lines = columns(rows, FLUSH_RIGHT)
    if hidden:
        lines.append(text((_counted(hidden), "dim")))
    if any(rank.step_s for rank in shown):
        lines.append(legend(used, width, marks))
    return lines


def course(rank: RankView, trails: Trails, width: int, marks: Marks) -> Text:
    """The rank's own speed over its last reports, from zero."""
    trail = trails.ranks.get(rank.rank)
    speeds = list(trail.speeds) if trail else []
    return text((sparkline(speeds, width, marks, low=0.0), "cyan"))


def share_total(state: RunState) -> int:
    """What the shares are parts of."""
    return sum(rank.share for rank in state.ranks if rank.state in WORKING)


def _chosen(ranks: Sequence[RankView], room: int) -> tuple[list[RankView], list[RankView]]:
    """All, if they fit; else those in trouble before the others, in order of their numbers."""
    if len(ranks) <= room:
        return list(ranks), []
    by_need = sorted(ranks, key=lambda r: (r.state == "training", r.rank))
    shown = sorted(by_need[: max(room - 1, 0)], key=lambda r: r.rank)
    return shown, by_need[max(room - 1, 0) :]


def _counted(ranks: Sequence[RankView]) -> str:
    kinds = sorted({rank.state for rank in ranks})
    counts = ", ".join(f"{sum(r.state == kind for r in ranks)} {kind}" for kind in kinds)
    return f"and {len(ranks)} more: {counts}"


def _facts(rank: RankView, total: int) -> list[Text]:
    has_share = rank.state in WORKING and total > 0
    return [
        text(str(rank.rank)),
        text(clean(rank.device) or "-"),
        condition(rank),
        text(str(rank.share)) if has_share else text("-"),
        text(f"{rank.share / total * 100:.0f} %") if has_share else text(),
        text(rate(rank.samples_per_s) if rank.samples_per_s else "-"),
        text(show_size(rank.memory_bytes) if rank.memory_bytes else "-"),
    ]


def condition(rank: RankView) -> Text:
    """Its state; of one that was lost and trains again, how often it was."""
    if rank.losses and rank.state == "training":
        return text((f"back ({rank.losses}x)", "green"))
    return text((rank.state, STATES[rank.state]))


def time_bar(rank: RankView, width: int, marks: Marks) -> Text:
    """Where its time goes, or why it does nothing."""
    reasons = {"lost": rank.lost_reason, "parked": rank.parked_reason}
    if rank.state in reasons:
        return text((clean(reasons[rank.state]), STATES[rank.state]))
    parts = [getattr(rank, f"{name}_s") for name, _, _ in PARTS]
    rest = max(rank.step_s - sum(parts), 0.0)
    cells = cut([*parts, rest], width)
    drawn = [
        (_mark(name, letter, marks) * count, colour)
        for (name, letter, colour), count in zip(PARTS, cells, strict=False)
    ]
    return text(*drawn)


def _mark(name: str, letter: str, marks: Marks) -> str:
    if not marks.block:
        return letter
    return marks.empty if name == IDLE else marks.block


def legend(indent: int, width: int, marks: Marks) -> Text:
    """Under the bars where it fits there, else as far to the right as it goes."""
    entries = [
        text((_mark(name, letter, marks), colour), (f" {name}", "dim"))
        for name, letter, colour in PARTS
    ]
    line = text("  ").join(entries)
    return text(" " * max(min(indent, width - line.cell_len), 0), line)


def together(state: RunState, width: int) -> list[Text]:
    """How near the ranks come to what they do alone, and to what the best shares would do."""
    real, alone = state.measured_samples_per_s, state.alone_samples_per_s
    possible = state.possible_samples_per_s
    if len(state.ranks) < 2 or not (real and alone and possible):
        return []
    compared = ((alone, "of the ranks' own speeds"), (possible, "of the possible"))
    parts = [f"{real / other * 100:.0f} % {what}" for other, what in compared]
    numbers = [f" ({rate(other)})" for other, _ in compared]
    short = [f"together {rate(real)}", *parts]
    full = [short[0], *(part + number for part, number in zip(parts, numbers, strict=True))]
    line = text(", ".join(full))
    return [line if line.cell_len <= width else text(", ".join(short))]


def rate(samples_per_s: float) -> str:
    return f"{words.number(samples_per_s, 3)}/s"
