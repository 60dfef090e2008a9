"""The record as charts draw it: numbers by step, rank times and the timeline, any part, quickly.

A chart asks for so many points at most. Where there are more, neighbours are joined, and each
keeps its lowest and highest: no spike is lost. What one costs grows with the points asked for,
not with the run (`rundir.blocks`). A record of an earlier version has fewer tables: its charts
are read from what there is.

Give it a reader of its own: what shares a connection with the head's intake makes that wait.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from evener import events
from evener.events import GenerationFormed, Record
from evener.rundir import blocks
from evener.rundir.blocks import Kept, Piece
from evener.rundir.store import Store
from evener.rundir.tables import TIMINGS

__all__ = ["SAMPLES", "TIMINGS", "History", "Series"]

PER_POINT = 16  # rows at most that are read for one point
RANK_POINTS, FEWEST = 20_000, 20  # of all ranks together; of one, however many there are
SAMPLES = "samples"  # the series that says how many were consumed by a step
_LAST = 2**63 - 1
# Told again and again: charts show them.
_NO_NEWS = ("StepCommitted", "RankTimed", "SpeedsFitted", "MachineLoad")
_NEWS = tuple(kind for kind in events.KINDS if kind not in _NO_NEWS)


@dataclass(frozen=True, slots=True)
class Series:
    """One number by step, in columns of equal length. Null: it was not a number.

    A point that joins several steps stands at the last of them. `samples` were consumed by then.
    """

    name: str
    step: list[int]
    time: list[float]
    samples: list[int | None]
    low: list[float | None]
    high: list[float | None]
    mean: list[float | None]
    exact: bool  # every point is one step


class History:
    """Reads what is there now; threads may share one."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def names(self) -> list[str]:
        """Of all series, in order. Each costs one look into the index."""
        return [str(name) for name in self._distinct("metrics", "name")]

    def ranks(self) -> list[int]:
        """Those that have reported where their time went."""
        return list(self._distinct("timings", "rank")) if self._has("timings") else []

    def series(
        self, name: str, first: int = 0, last: int | None = None, points: int = 1200
    ) -> Series:
        """Steps `first` to `last`, both included. A name that nobody told has no points."""
        rows = self._chart(blocks.METRICS, name, (first, last), points)
        steps = [row[0] for row in rows]
        return Series(
            name=name,
            step=steps,
            time=[row[1] for row in rows],
            samples=self.samples_at(steps),
            low=[row[2] for row in rows],
            high=[row[3] for row in rows],
            mean=[_finite(row[4] / row[5]) if row[5] else None for row in rows],
            exact=all(row[6] == 1 for row in rows),
        )

    def timings(
        self, first: int = 0, last: int | None = None, points: int = 600
    ) -> dict[int, dict[str, list[Any]]]:
        """By rank: step, time, and each of TIMINGS, as means by steps (memory: the highest).

        Of many ranks each has fewer points than asked for, so that an answer stays bounded.
        """
        ranks = self.ranks()
        each = min(points, max(FEWEST, RANK_POINTS // max(len(ranks), 1)))
        found = {rank: self._chart(blocks.RANKS, rank, (first, last), each) for rank in ranks}
        columns = ("step", "time", *TIMINGS)
        return {
            rank: {name: [_finite(row[n]) for row in rows] for n, name in enumerate(columns)}
            for rank, rows in found.items()
        }

    def timeline(self, before: int | None = None, limit: int = 300) -> list[tuple[int, Record]]:
        """The last `limit` records before number `before` that are worth a sentence, in order, and
        the steps around each change of members: what it cost is told by them."""
        found = self._store.before(before, limit, _NEWS)
        steps = (s for s in self._around(found) if before is None or s[0] < before)
        return sorted({**dict(found), **dict(steps)}.items())

    def _around(self, found: Sequence[tuple[int, Record]]) -> Iterator[tuple[int, Record]]:
        for seq, record in found:
            if isinstance(record.event, GenerationFormed):
                yield from self._store.before(seq, 1, ("StepCommitted",))
                yield from self._store.since(seq, 1, ("StepCommitted",))

    # -------------------------------------------------------------------------- samples

    def samples_at(self, steps: Sequence[int]) -> list[int | None]:
        """How many were consumed by each step. Between two recorded steps: in proportion; after
        the last: as many as by then; before the first: null."""
        if not steps or self._store.last_step(SAMPLES) == -1:
            return [None] * len(steps)
        known: dict[int, int] = {}
        for at in range(0, len(steps), 500):
            where = f"step IN ({', '.join(map(str, steps[at : at + 500]))})"
            known |= {step: int(value) for step, value in self._samples(where)}
        return [known[step] if step in known else self._between(step) for step in steps]

    def _between(self, step: int) -> int | None:
        before = self._samples(f"step < {step} ORDER BY step DESC LIMIT 1")
        after = self._samples(f"step > {step} ORDER BY step LIMIT 1")
        if not before:
            return None
        if not after:
            return int(before[0][1])
        (low, some), (high, more) = before[0], after[0]
        between: int = round(some + (more - some) * (step - low) / (high - low))
        return between

    def _samples(self, where: str) -> list[Any]:
        query = f"SELECT step, value FROM metrics WHERE name = :name AND {where}"
        return self._store.select(query, name=SAMPLES)

    # --------------------------------------------------------------------------- charts

    def _chart(
        self, kept: Kept, key: str | int, asked: tuple[int, int | None], points: int
    ) -> list[Any]:
        """Rows of step, time and what is kept, in the order of steps: `points` at most."""
        first, last = asked[0], _LAST if asked[1] is None else asked[1]
        points = max(points, 1)
        few = f"{blocks.every(kept, first, last)} LIMIT {points + 1}"
        rows = self._store.select(few, key=key)
        if len(rows) <= points:
            return rows
        first, last = rows[0][0], self._newest(kept, key, last)
        whole = self._has(kept.marks)
        level = blocks.level_of(first, last, points * PER_POINT) if whole else 0
        found = tuple(blocks.pieces(first, last, level, self._marked(kept, key, level)))
        if len(found) > blocks.MOST_PIECES:
            found = (Piece(0, first, last),)
        shift = blocks.SHIFT * level
        width = -(-((last >> shift) - (first >> shift) + 1) // points)
        return self._store.select(blocks.chart(kept, found, first, level, width), key=key)

    def _newest(self, kept: Kept, key: str | int, last: int) -> int:
        query = (
            f"SELECT step FROM {kept.table} WHERE {kept.key} = :key AND step <= :last"
            " ORDER BY step DESC LIMIT 1"
        )
        return int(self._store.select(query, key=key, last=last)[0][0])

    def _marked(self, kept: Kept, key: str | int, level: int) -> list[Any]:
        """Read before any block: what is settled meanwhile is read as it was, and right."""
        levels = ", ".join(map(str, range(1, level + 1)))
        where = f"level IN ({levels}) AND {kept.key} = :key"
        query = f"SELECT level, block FROM {kept.marks} WHERE {where}"
        return self._store.select(query, key=key) if level else []

    def _has(self, table: str) -> bool:
        query = "SELECT 1 FROM sqlite_master WHERE name = :name"
        return bool(self._store.select(query, name=table))

    def _distinct(self, table: str, key: str) -> Iterator[Any]:
        """The values of a table's first column, without reading the table."""
        query = (
            f"WITH RECURSIVE found(it) AS (SELECT min({key}) FROM {table} UNION ALL"
            f" SELECT (SELECT min({key}) FROM {table} WHERE {key} > it) FROM found"
            " WHERE it IS NOT NULL) SELECT it FROM found WHERE it IS NOT NULL"
        )
        return (row[0] for row in self._store.select(query))


def _finite(value: Any) -> Any:
    """Sums of very large numbers may not be."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
