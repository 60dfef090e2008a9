"""The tables of run.db, and what each event leaves in them besides itself.

`events` is the record. The others are views of it that a person can read with `sqlite3`, and
charts without folding: every number by step, where each rank's time went, every rank, every
checkpoint. What the `_blocks` and `_marks` are for is said in `rundir.blocks`.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from evener import events, travel
from evener.events import Record

FORMAT = 1  # PRAGMA user_version; raised when a table changes its meaning, not for one more table
APPLICATION = 0x45564E52  # PRAGMA application_id: "EVNR", so that another's file is not taken

SCHEMA = (
    """CREATE TABLE events (
        seq INTEGER PRIMARY KEY, source TEXT NOT NULL, number INTEGER NOT NULL,
        kind TEXT NOT NULL, time REAL, body TEXT NOT NULL, UNIQUE (source, number))""",
    "CREATE INDEX events_by_kind ON events (kind, seq)",
    """CREATE TABLE metrics (
        step INTEGER NOT NULL, name TEXT NOT NULL, value REAL, time REAL,
        PRIMARY KEY (name, step)) WITHOUT ROWID""",
    """CREATE TABLE ranks (
        rank INTEGER PRIMARY KEY, agent TEXT, life INTEGER, pid INTEGER, device TEXT, state TEXT,
        last_step INTEGER, samples_per_s REAL, share INTEGER)""",
    """CREATE TABLE checkpoints (
        step INTEGER NOT NULL, path TEXT PRIMARY KEY, size_bytes INTEGER, best INTEGER,
        metric REAL, time REAL, dropped INTEGER NOT NULL DEFAULT 0)""",
    "CREATE TABLE spools (name TEXT PRIMARY KEY, imported_bytes INTEGER NOT NULL)",
)

# Of a rank's report, after rank, step and time: fields of `RankTimed`.
TIMINGS = (
    "steps", "share", "samples_per_s", "data_s", "forward_s", "backward_s", "exchange_s",
    "hidden_s", "wait_s", "optimizer_s", "step_s", "memory_bytes", "cpu_share", "temperature_c",
)  # fmt: skip
_OF_TIMING = ", ".join(
    f"{name} {'INTEGER' if name in ('steps', 'memory_bytes') else 'REAL'}" for name in TIMINGS
)
SHIFT = 4  # a block of level 1 is 16 steps
_MARKED = """CREATE TRIGGER {table}_marked AFTER INSERT ON {table} BEGIN
    INSERT INTO {marks} SELECT 1, NEW.{key}, NEW.step >> {shift} WHERE NOT EXISTS (SELECT 1
        FROM {marks} WHERE level = 1 AND {key} = NEW.{key} AND block = NEW.step >> {shift});
    END"""
# What charts read besides `metrics`. An earlier version made none of these: a writer adds them,
# and marks all that is there already.
CHARTS = (
    f"""CREATE TABLE timings (
        rank INTEGER NOT NULL, step INTEGER NOT NULL, time REAL, {_OF_TIMING},
        PRIMARY KEY (rank, step)) WITHOUT ROWID""",
    """CREATE TABLE metric_blocks (
        name TEXT NOT NULL, level INTEGER NOT NULL, block INTEGER NOT NULL, step INTEGER,
        time REAL, low REAL, high REAL, total REAL, numbers INTEGER, points INTEGER,
        PRIMARY KEY (name, level, block)) WITHOUT ROWID""",
    f"""CREATE TABLE timing_blocks (
        rank INTEGER NOT NULL, level INTEGER NOT NULL, block INTEGER NOT NULL, step INTEGER,
        time REAL, {_OF_TIMING}, PRIMARY KEY (rank, level, block)) WITHOUT ROWID""",
    """CREATE TABLE metric_marks (
        level INTEGER NOT NULL, name TEXT NOT NULL, block INTEGER NOT NULL,
        PRIMARY KEY (level, name, block)) WITHOUT ROWID""",
    """CREATE TABLE timing_marks (
        level INTEGER NOT NULL, rank INTEGER NOT NULL, block INTEGER NOT NULL,
        PRIMARY KEY (level, rank, block)) WITHOUT ROWID""",
    _MARKED.format(table="metrics", marks="metric_marks", key="name", shift=SHIFT),
    _MARKED.format(table="timings", marks="timing_marks", key="rank", shift=SHIFT),
    f"INSERT INTO metric_marks SELECT DISTINCT 1, name, step >> {SHIFT} FROM metrics",
)

_OF_STEPS = {"samples", "loss", "lr", "grad_norm", "seconds", "samples_per_s", "skipped"}
MOST_ROWS = 64  # of one statement

Row = tuple[Any, ...]


def project(db: sqlite3.Connection, records: Sequence[Record]) -> None:
    """Bring the tables up to date with new events: in their order, as far as it matters."""
    numbers = sorted(_changing(_NUMBERS, records), key=lambda change: change[0])
    for changes in (numbers, _changing(_VIEWS, records)):
        for statement, group in itertools.groupby(changes, key=lambda change: change[0]):
            put(db, statement, [row for _, rows in group for row in rows])


def put(db: sqlite3.Connection, statement: str, rows: Sequence[Row]) -> int:
    """Bind all of `rows`; returns how many rows changed.

    Many at once, where the statement has room for `{rows}`: at each execution other threads get
    Python's lock, and keep it for a while. A few sizes only, so that SQLite knows the statements.
    """
    if "{rows}" not in statement:
        return db.executemany(statement, rows).rowcount
    changed = start = 0
    while start < len(rows):
        size = min(MOST_ROWS, 1 << (len(rows) - start).bit_length() - 1)
        part = rows[start : start + size]
        marks = f"({', '.join('?' * len(part[0]))})"
        values = [value for row in part for value in row]
        changed += db.execute(statement.format(rows=", ".join([marks] * size)), values).rowcount
        start += size
    return changed


def _changing(changes: _Changes, records: Iterable[Record]) -> Iterator[tuple[str, Iterable[Row]]]:
    for record in records:
        if found := changes.get(type(record.event)):
            statement, rows = found
            yield statement, rows(record.event, record.time)


def points(record: Record) -> Iterator[Row]:
    """What an event adds to the numbers by step: (step, name, value, time) of each."""
    match record.event:
        case events.StepCommitted() as step:
            yield from _of_step(step, record.time)
        case events.Validated() as validated:
            yield from _of_validation(validated, record.time)
        case events.ScalarsWritten() as written:
            yield from _of_scalars(written, record.time)


def _set_rank(*columns: str) -> str:
    """Whichever event of a rank comes first makes its row: sources overtake each other."""
    updates = ", ".join(f"{c} = excluded.{c}" for c in columns)
    return (
        f"INSERT INTO ranks (rank, {', '.join(columns)}) VALUES {{rows}} "
        f"ON CONFLICT (rank) DO UPDATE SET {updates}"
    )


def _of_step(event: events.StepCommitted, time: float) -> Iterator[Row]:
    values = {
        **event.metrics,
        "samples": event.cursor,  # consumed by then
        "loss": event.loss,
        "lr": event.lr,
        "grad_norm": event.grad_norm,
        "seconds": event.seconds,
        "samples_per_s": event.samples / event.seconds if event.seconds > 0 else None,
        "skipped": 1 if event.skipped else None,
    }
    yield from ((event.step, name, v, time) for name, v in values.items() if v is not None)


def _of_validation(event: events.Validated, time: float) -> Iterator[Row]:
    values = {**event.metrics, "loss": event.loss}
    yield from ((event.step, f"validation.{name}", v, time) for name, v in values.items())


def _of_scalars(event: events.ScalarsWritten, time: float) -> Iterator[Row]:
    """Tags that would be taken for numbers of ours stand apart."""
    for tag, value in event.values.items():
        own = tag in _OF_STEPS or tag.startswith("validation.")
        yield event.step, f"tensorboard/{tag}" if own else tag, value, time


def _of_timing(event: events.RankTimed, time: float) -> Iterator[Row]:
    numbers = (travel.finite(getattr(event, name)) for name in TIMINGS)
    yield event.rank, event.step, time, *numbers


_Changes = dict[type[Any], tuple[str, Callable[[Any, float], Iterable[Row]]]]
# A step that is computed twice (after a fall back to a checkpoint) is one step: as told last.
_MEASURE = "INSERT OR REPLACE INTO metrics VALUES {rows}"
_NUMBERS: _Changes = {
    events.StepCommitted: (_MEASURE, _of_step),
    events.Validated: (_MEASURE, _of_validation),
    events.ScalarsWritten: (_MEASURE, _of_scalars),
    events.RankTimed: ("INSERT OR REPLACE INTO timings VALUES {rows}", _of_timing),
}
_VIEWS: _Changes = {
    events.RankStarted: (
        _set_rank("agent", "life", "pid", "state"),
        lambda e, _: [(e.rank, e.agent, e.life, e.pid, "starting")],
    ),
    events.RankBuilt: (
        _set_rank("device", "state"),
        lambda e, _: [(e.rank, e.device, "built")],
    ),
    events.RankLost: (
        _set_rank("agent", "state"),
        lambda e, _: [(e.rank, e.agent, "lost")],
    ),
    events.GenerationFormed: (
        _set_rank("state"),
        lambda e, _: [(rank, "training") for rank in e.ranks],
    ),
    events.RankParked: (
        _set_rank("state"),
        lambda e, _: [(e.rank, "parked")],
    ),
    events.RankTimed: (
        _set_rank("last_step", "samples_per_s", "share"),
        lambda e, _: [(e.rank, e.step, e.samples_per_s, e.share)],
    ),
    events.SharesChanged: (
        _set_rank("share"),
        lambda e, _: list(zip(e.ranks, e.shares, strict=False)),
    ),
    events.AgentEnded: (
        "UPDATE ranks SET state = 'ended' WHERE agent = ?",
        lambda e, _: [(e.agent,)],
    ),
    events.RunEnded: (
        "UPDATE ranks SET state = 'ended'",
        lambda e, _: [()],
    ),
    events.CheckpointWritten: (
        "INSERT OR REPLACE INTO checkpoints (step, path, size_bytes, best, metric, time)"
        " VALUES {rows}",
        lambda e, time: [(e.step, e.path, e.size_bytes, e.best, e.metric, time)],
    ),
    events.CheckpointDropped: (
        "UPDATE checkpoints SET dropped = 1 WHERE path = ?",
        lambda e, _: [(e.path,)],
    ),
}
