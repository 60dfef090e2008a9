"""Ranks and machines as tables whose columns give way where a terminal is narrow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.text import Text

from evener.cli.console import clean
from evener.cli.marks import Marks
from evener.cli.paper import GAP, columns, fit, text
from evener.cli.ranks import (
    COURSE,
    NARROWEST_BAR,
    WIDEST_BAR,
    WORKING,
    condition,
    course,
    legend,
    rate,
    share_total,
    time_bar,
)
from evener.cli.trails import Trails
from evener.state import MachineView, RankView, RunState
from evener.units import show_size

NAME = 24  # of a machine or a device, at most
GOOD_BAR = 16  # what columns give way for, where a terminal is wide enough
_TROUBLE = ("lost", "parked", "starting", "built", "training", "ended")
ORDERS: dict[str, Callable[[RankView], tuple[float, int]]] = {
    "by number": lambda r: (0, r.rank),
    "trouble first": lambda r: (_TROUBLE.index(r.state), r.rank),
    "slowest first": lambda r: (r.samples_per_s or float("inf"), r.rank),
    "longest wait first": lambda r: (-r.wait_s / r.step_s if r.step_s > 0 else 1.0, r.rank),
}


@dataclass(frozen=True, slots=True)
class Column:
    """Of two that do not both fit, the one worth less is left out; and one without content."""

    heading: str
    cells: Sequence[Text]
    worth: int
    right: bool = True

    @property
    def width(self) -> int:
        return max(len(self.heading), *(cell.cell_len for cell in self.cells), 0)


def in_order(state: RunState, order: str) -> list[RankView]:
    return sorted(state.ranks, key=ORDERS[order])


def narrowed(wanted: Sequence[Column], width: int) -> list[Column]:
    """Those that fit side by side into `width`; the first of them always stays."""
    kept = [column for column in wanted if any(cell.plain for cell in column.cells)]
    while len(kept) > 1 and _width(kept) > width:
        least = min(range(1, len(kept)), key=lambda i: kept[i].worth)
        del kept[least]
    return kept


def _width(side_by_side: Sequence[Column]) -> int:
    return sum(column.width + GAP for column in side_by_side) - GAP


def _set(kept: Sequence[Column]) -> list[Text]:
    heads = [text((column.heading, "dim")) for column in kept]
    rows = [heads, *([c.cells[i] for c in kept] for i in range(len(kept[0].cells)))]
    return columns(rows, [number for number, column in enumerate(kept) if column.right])


# ---------------------------------------------------------------------------------- ranks


def rank_lines(
    shown: Sequence[RankView], state: RunState, trails: Trails, width: int, marks: Marks
) -> tuple[list[Text], Text]:
    """A line of headings, one line for each rank, and apart from them what the bars mean."""
    wanted = _rank_columns(shown, share_total(state), trails, marks)
    kept = narrowed(wanted, width - GAP - min(max(width // 5, NARROWEST_BAR), GOOD_BAR))
    used = _width(kept) + GAP
    bar = max(min(width - used, WIDEST_BAR), NARROWEST_BAR)
    bars = [fit(time_bar(rank, bar, marks), max(width - used, bar), marks) for rank in shown]
    lines = _set([*kept, Column("where its time goes"[: width - used], bars, 0, right=False)])
    return lines, legend(used, width, marks)


def _rank_columns(
    shown: Sequence[RankView], total: int, trails: Trails, marks: Marks
) -> list[Column]:
    def cells(of: Callable[[RankView], Text]) -> list[Text]:
        return [of(rank) for rank in shown]

    def share(rank: RankView) -> Text:
        return text(str(rank.share)) if rank.state in WORKING and total > 0 else text()

    def part(rank: RankView) -> Text:
        known = rank.state in WORKING and total > 0
        return text(f"{rank.share / total * 100:.0f} %") if known else text()

    def cpu(rank: RankView) -> Text:
        trail = trails.ranks.get(rank.rank)
        return percent(trail.cpu_share if trail else None)

    def heat(rank: RankView) -> Text:
        trail = trails.ranks.get(rank.rank)
        return degrees(trail.temperature_c if trail else None, marks)

    return [
        Column("rank", cells(lambda r: text(str(r.rank))), 100),
        Column("device", cells(lambda r: _name(r.device, marks)), 50, right=False),
        Column("state", cells(condition), 90, right=False),
        Column("share", cells(share), 80),
        Column("", cells(part), 60),
        Column("own speed", cells(lambda r: _rate(r)), 85),
        Column("lately", cells(lambda r: course(r, trails, COURSE, marks)), 70, right=False),
        Column("memory", cells(lambda r: size(r.memory_bytes or None)), 45),
        Column("cpu", cells(cpu), 40),
        Column("temp", cells(heat), 35),
    ]


def _rate(rank: RankView) -> Text:
    return text(rate(rank.samples_per_s)) if rank.samples_per_s else text()


# ------------------------------------------------------------------------------- machines


def machine_lines(machines: Sequence[MachineView], width: int, marks: Marks) -> list[Text]:
    """A line of headings, then each machine with its GPUs below it."""
    rows = [row for machine in machines for row in _machine_rows(machine, marks)]
    if not rows:
        return []
    cells = dict(zip(_MACHINE, zip(*rows, strict=True), strict=True))
    wanted = [
        Column(heading, cells[heading], worth, right=heading != "machine")
        for heading, worth in _MACHINE.items()
    ]
    return _set(narrowed(wanted, width))


_MACHINE = {
    "machine": 100, "busy": 90, "memory": 80, "of": 70, "temp": 60, "power": 55,
    "received": 50, "sent": 49, "read": 40, "written": 39, "dropped": 65,
}  # fmt: skip


def _machine_rows(machine: MachineView, marks: Marks) -> list[list[Text]]:
    """Under the headings of _MACHINE. Without a load only its size is known."""
    name = _name(machine.name or machine.agent, marks, "dim" if machine.ended else "")
    load = machine.load
    if load is None:
        whole = size(machine.memory_bytes or None)
        return [[name, text(), text(), whole, *[text()] * (len(_MACHINE) - 4)]]
    lost = text((str(load.dropped), "yellow")) if load.dropped else text()
    rows = [
        [
            name, percent(load.cpu_share), size(load.memory_bytes),
            size(load.memory_limit_bytes or machine.memory_bytes or None),
            degrees(load.temperature_c, marks), text(),
            flow_rate(load.received_bytes_per_s), flow_rate(load.sent_bytes_per_s),
            flow_rate(load.disk_read_bytes_per_s), flow_rate(load.disk_write_bytes_per_s), lost,
        ]
    ]  # fmt: skip
    for gpu in load.gpus:
        rows.append(
            [
                text("  ", _name(gpu.name or gpu.uuid, marks)), percent(gpu.busy_share),
                size(gpu.memory_bytes), size(gpu.memory_limit_bytes),
                degrees(gpu.temperature_c, marks), watts(gpu.power_w, gpu.power_limit_w),
                *[text()] * 5,
            ]
        )  # fmt: skip
    return rows


# ---------------------------------------------------------------------------------- cells


def _name(name: str, marks: Marks, style: str = "") -> Text:
    return fit(text((clean(name), style)), NAME, marks)


def percent(share: float | None) -> Text:
    return text() if share is None else text(f"{share * 100:.0f} %")


def size(size_bytes: float | None) -> Text:
    return text() if size_bytes is None else text(show_size(size_bytes))


def flow_rate(bytes_per_s: float | None) -> Text:
    return text() if bytes_per_s is None else text(f"{show_size(bytes_per_s)}/s")


def degrees(celsius: float | None, marks: Marks) -> Text:
    unit = "°C" if marks.dots else "C"
    return text() if celsius is None else text(f"{celsius:.0f} {unit}")


def watts(power_w: float | None, limit_w: float | None) -> Text:
    if power_w is None:
        return text()
    return text(f"{power_w:.0f} W" if limit_w is None else f"{power_w:.0f}/{limit_w:.0f} W")
