"""logs/rank_N_metrics.json: where each rank's time went, as one JSON list for other tools.

One object per report of the rank. Written whole and atomically, so a reader never finds half a
list. A list that reaches `LIMIT` is halved by joining neighbours (means weighted by their steps):
writing stays cheap and the whole run stays in sight. `run.db` keeps every report as it was.
"""

from __future__ import annotations

import bisect
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from evener.events import RankTimed, Record
from evener.rundir import layout
from evener.rundir.layout import RunDir
from evener.rundir.store import Store

LIMIT = 4096  # about 1.5 MB; half an hour at two reports a second before the first halving
_MEANS = (
    "samples_per_s", "data_s", "forward_s", "backward_s", "exchange_s", "optimizer_s", "step_s",
    "hidden_s", "wait_s", "predicted_s",
)  # fmt: skip
_VITALS = ("cpu_share", "throttled_share", "major_faults_per_s", "temperature_c")

Since = Callable[[int], list[tuple[int, Record]]]  # a page of the records after a number


class RankMetrics:
    """Follows a store and writes the files of the ranks that reported since the last time."""

    def __init__(self, run: RunDir, store: Store) -> None:
        self._run = run
        self._store = store
        self._seq = 0
        self._ranks: dict[int, _Reports] = {}

    def write(
        self,
        most: int | None = None,
        since: Since | None = None,
        give_way: Callable[[], None] = lambda: None,
    ) -> None:
        """Reading and writing grow with what is new, and with LIMIT, never with the run. At most
        `most` files, those written longest ago: each goes to the disk by itself. `since` may know
        the newest records without a look at the disk. What is urgent goes first at `give_way`."""
        if self._seq == 0 or since is None:
            self._follow(lambda seq: self._store.since(seq, kinds=("RankTimed",)), give_way)
        if since is not None:
            self._follow(since, give_way)
        waiting = [rank for rank, reports in self._ranks.items() if not reports.written][:most]
        losses = self._losses([self._ranks[rank] for rank in waiting])
        for rank in waiting:
            reports = self._ranks.pop(rank)
            self._ranks[rank] = reports  # the last in line now
            layout.write_atomic(self._run.rank_metrics(rank), reports.text(losses))
            give_way()

    def _follow(self, since: Since, give_way: Callable[[], None]) -> None:
        while page := since(self._seq):
            for seq, record in page:
                self._seq = seq
                if isinstance(record.event, RankTimed):
                    self._ranks.setdefault(record.event.rank, _Reports()).add(record.event)
            give_way()

    def _losses(self, reports: Sequence[_Reports]) -> list[tuple[int, float | None]]:
        """By step, as far as any of them needs one."""
        steps = [step for each in reports for step in each.open_steps]
        return self._store.values("loss", min(steps), max(steps)) if steps else []


class _Reports:
    """The reports of one rank, each turned to text once."""

    def __init__(self) -> None:
        self.written = False
        self._reports: list[RankTimed] = []
        self._lines: list[str] = []  # of the first reports: those whose loss is known by now

    def add(self, report: RankTimed) -> None:
        self.written = False
        self._reports.append(report)
        if len(self._reports) >= LIMIT:
            pairs = zip(self._reports[::2], self._reports[1::2], strict=True)
            self._reports = [_join(a, b) for a, b in pairs]
            self._lines = []

    @property
    def open_steps(self) -> list[int]:
        """Of the reports whose loss was not known yet."""
        return [report.step for report in self._reports[len(self._lines) :]]

    def text(self, losses: Sequence[tuple[int, float | None]]) -> str:
        """The file. A step's loss comes from another rank, so it may come in after this report."""
        newest = losses[-1][0] if losses else -1
        for report in self._reports[len(self._lines) :]:
            if report.step > newest:
                break
            self._lines.append(_line(report, losses))
        waiting = [_line(r, losses) for r in self._reports[len(self._lines) :]]
        self.written = not waiting
        return "[\n" + ",\n".join(self._lines + waiting) + "\n]\n"


def _line(report: RankTimed, losses: Sequence[tuple[int, float | None]]) -> str:
    """With the last loss at or before its step."""
    at = bisect.bisect_right(losses, report.step, key=lambda known: known[0])
    values: dict[str, Any] = {
        "step": report.step,
        "steps": report.steps,
        "loss": losses[at - 1][1] if at else None,
        "share": report.share,
        **{name: getattr(report, name) for name in _MEANS},
        "memory_bytes": report.memory_bytes,
        **{name: getattr(report, name) for name in _VITALS},
    }
    return json.dumps({k: v if _is_json(v) else None for k, v in values.items()})


def _is_json(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _join(a: RankTimed, b: RankTimed) -> RankTimed:
    """One report for both: times are means over all their steps, the rest as it was last."""
    x, y = max(a.steps, 1), max(b.steps, 1)
    means = {n: (getattr(a, n) * x + getattr(b, n) * y) / (x + y) for n in _MEANS}
    for name in _VITALS:
        if None not in (before := getattr(a, name), now := getattr(b, name)):
            means[name] = (before * x + now * y) / (x + y)
    return replace(b, steps=x + y, memory_bytes=max(a.memory_bytes, b.memory_bytes), **means)
