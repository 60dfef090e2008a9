"""The tables of run.db, and what each event leaves in them besides itself.

`events` is the record. The others are views of it that a person can read with `sqlite3`, and
charts without folding: every number by step, every rank, every checkpoint.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from evener import events
from evener.events import Record

FORMAT = 1  # PRAGMA user_version; raised when a table changes its meaning
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

Row = tuple[Any, ...]


def project(db: sqlite3.Connection, record: Record) -> None:
    """Bring the tables up to date with one new event."""
    change = _CHANGES.get(type(record.event))
    if change is not None:
        statement, rows = change
        db.executemany(statement, rows(record.event, record.time))


def _set_rank(*columns: str) -> str:
    """Whichever event of a rank comes first makes its row: sources overtake each other."""
    names, marks = ", ".join(columns), ", ?" * len(columns)
    updates = ", ".join(f"{c} = excluded.{c}" for c in columns)
    return (
        f"INSERT INTO ranks (rank, {names}) VALUES (?{marks}) "
        f"ON CONFLICT (rank) DO UPDATE SET {updates}"
    )


def _of_step(event: events.StepCommitted, time: float) -> Iterator[Row]:
    values = {
        **event.metrics,
        "loss": event.loss,
        "lr": event.lr,
        "grad_norm": event.grad_norm,
        "seconds": event.seconds,
        "samples_per_s": event.samples / event.seconds if event.seconds > 0 else None,
    }
    yield from ((event.step, name, v, time) for name, v in values.items() if v is not None)


def _of_validation(event: events.Validated, time: float) -> Iterator[Row]:
    values = {**event.metrics, "loss": event.loss}
    yield from ((event.step, f"validation.{name}", v, time) for name, v in values.items())


# A step that is computed twice (after a fall back to a checkpoint) is one step: as told last.
_MEASURE = "INSERT OR REPLACE INTO metrics VALUES (?, ?, ?, ?)"
_CHANGES: dict[type[Any], tuple[str, Callable[[Any, float], Iterable[Row]]]] = {
    events.StepCommitted: (_MEASURE, _of_step),
    events.Validated: (_MEASURE, _of_validation),
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
        " VALUES (?, ?, ?, ?, ?, ?)",
        lambda e, time: [(e.step, e.path, e.size_bytes, e.best, e.metric, time)],
    ),
    events.CheckpointDropped: (
        "UPDATE checkpoints SET dropped = 1 WHERE path = ?",
        lambda e, _: [(e.path,)],
    ),
}
