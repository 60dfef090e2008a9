"""Coarse blocks of what charts draw, so that a chart of ten million points reads some thousands.

A block of level 1 adds up 16 steps, one of the next level 16 of those. Whatever puts a number
into the record marks its block of level 1: triggers see to it, so nobody can forget. `settle`
adds marked blocks up again and marks those above them. A block that is marked, or has a marked
one below it, is not right or not there, and `pieces` reads what it is made of instead. So a chart
is right at any moment, whoever died before he could settle; only slower.

A mean is by the steps that were told. Where a system told a number for a part of a block only,
that block counts whole in the next one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from evener.rundir.tables import SHIFT as SHIFT
from evener.rundir.tables import TIMINGS

TOP = 4  # 65536 steps in a block
LEVELS = range(1, TOP + 1)
TURN = 100  # blocks that are settled in one transaction: some milliseconds
MOST_PIECES = 200  # of one query: SQLite takes 500
_FINITE = "CASE WHEN abs(value) < 9e999 THEN value END"


@dataclass(frozen=True, slots=True)
class Kept:
    """What blocks are kept of: a table by a key and step, as charts read it."""

    key: str  # the column
    table: str
    blocks: str
    marks: str
    raw: str  # the columns of a block, said of one row of the table
    columns: tuple[str, ...]  # of a block, after step and time
    added: tuple[str, ...]  # how each is made of those of many


@dataclass(frozen=True, slots=True)
class Piece:
    """Blocks `first` to `last` of a level. Those of level 0 are the steps themselves."""

    level: int
    first: int
    last: int


METRICS = Kept(
    key="name",
    table="metrics",
    blocks="metric_blocks",
    marks="metric_marks",
    raw=f"{_FINITE} AS low, {_FINITE} AS high, {_FINITE} AS total,"
    f" {_FINITE} IS NOT NULL AS numbers, 1 AS points",
    columns=("low", "high", "total", "numbers", "points"),
    added=("min(low)", "max(high)", "sum(total)", "sum(numbers)", "sum(points)"),
)


def _joined(name: str) -> str:
    """Times and shares as means by steps: `total` cannot overflow, and x / 0.0 is null."""
    match name:
        case "steps":
            return "CAST(total(steps) AS INTEGER)"
        case "memory_bytes":
            return "max(memory_bytes)"
    return f"sum({name} * steps) / total(steps * ({name} IS NOT NULL))"


RANKS = Kept(
    key="rank",
    table="timings",
    blocks="timing_blocks",
    marks="timing_marks",
    raw=", ".join("max(steps, 1) AS steps" if name == "steps" else name for name in TIMINGS),
    columns=TIMINGS,
    added=tuple(map(_joined, TIMINGS)),
)
KEPT = (METRICS, RANKS)


# ------------------------------------------------------------------------------ writing


def settle(db: sqlite3.Connection, kept: Kept, level: int) -> int:
    """Add up some of the marked blocks of a level, and return how many: TURN, if more wait. Few
    statements do it: at each, other threads get Python's lock."""
    told = {"level": level}
    db.execute(_add_up(kept, level), told)
    if level < TOP:
        above = f"SELECT :level + 1, {kept.key}, block >> {SHIFT} FROM ({_first(kept)})"
        db.execute(f"INSERT OR IGNORE INTO {kept.marks} {above}", told)
    which = f"(level, {kept.key}, block) IN ({_first(kept)})"
    return db.execute(f"DELETE FROM {kept.marks} WHERE {which}", told).rowcount


def _first(kept: Kept) -> str:
    """The marks whose turn it is."""
    columns = f"level, {kept.key}, block"
    where = f"WHERE level = :level ORDER BY {kept.key}, block LIMIT {TURN}"
    return f"SELECT {columns} FROM {kept.marks} {where}"


def _add_up(kept: Kept, level: int) -> str:
    size = 1 << SHIFT
    if level == 1:
        table, raw, of_block = kept.table, kept.raw, "step BETWEEN {0} AND {1}"
    else:
        table, raw = kept.blocks, ", ".join(kept.columns)
        of_block = f"below.level = {level - 1} AND below.block BETWEEN {{0}} AND {{1}}"
    one = of_block.format(f"marked.block * {size}", f"marked.block * {size} + {size - 1}")
    rows = (
        f"SELECT marked.{kept.key} AS key, marked.block AS of, step, time, {raw}"
        f" FROM ({_first(kept)}) AS marked JOIN {table} AS below"
        f" ON below.{kept.key} = marked.{kept.key} AND {one}"
    )
    return (
        f"INSERT OR REPLACE INTO {kept.blocks} SELECT key, :level, of, max(step), max(time),"
        f" {', '.join(kept.added)} FROM ({rows}) GROUP BY key, of"
    )


# ------------------------------------------------------------------------------ reading


def level_of(first: int, last: int, most: int) -> int:
    """The finest level of which steps `first` to `last` have not more than `most` blocks."""
    few = (n for n in range(TOP) if (last >> SHIFT * n) - (first >> SHIFT * n) < most)
    return next(few, TOP)


def pieces(
    first: int, last: int, level: int, marked: Iterable[tuple[int, int]] = ()
) -> Iterator[Piece]:
    """What together holds steps `first` to `last` once: blocks of `level`, and finer ones at the
    ends and in place of `marked` (level, block) ones. In the order of steps."""
    if level == 0:
        yield Piece(0, first, last)
        return
    known, shift = tuple(marked), SHIFT * level
    begin, end = -(-first >> shift), (last + 1) >> shift  # whole blocks, `end` not included
    wrong = {block >> SHIFT * (level - at) for at, block in known if at <= level}
    start, run = first, begin
    for stop in [*sorted(b for b in wrong if begin <= b < end), max(begin, end)]:
        if run < stop:
            if start < run << shift:
                yield from pieces(start, (run << shift) - 1, level - 1, known)
            yield Piece(level, run, stop - 1)
            start = stop << shift
        run = stop + 1
    if start <= last:
        yield from pieces(start, last, level - 1, known)


def chart(kept: Kept, found: Sequence[Piece], first: int, level: int, width: int) -> str:
    """The query for rows of step, time and the kept columns, `width` blocks of `level` in each;
    the key is to be bound as `:key`. A row is at its last step, and of its latest time."""
    rows = " UNION ALL ".join(_rows(kept, p.level, p.first, p.last) for p in found)
    shift = SHIFT * level
    return (
        f"SELECT max(step), max(time), {', '.join(kept.added)} FROM ({rows})"
        f" GROUP BY ((step >> {shift}) - {first >> shift}) / {width} ORDER BY 1"
    )


def every(kept: Kept, first: int, last: int) -> str:
    """The query for the same rows, each step by itself."""
    return f"{_rows(kept, 0, first, last)} ORDER BY step"


def _rows(kept: Kept, level: int, first: int | str, last: int | str) -> str:
    if level == 0:
        what, table, where = kept.raw, kept.table, f"step BETWEEN {first} AND {last}"
    else:
        what, table = ", ".join(kept.columns), kept.blocks
        where = f"level = {level} AND block BETWEEN {first} AND {last}"
    return f"SELECT step, time, {what} FROM {table} WHERE {kept.key} = :key AND {where}"
