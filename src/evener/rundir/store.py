"""The record of a run: one SQLite file that one process writes and any number read meanwhile.

WAL lets readers go on while the head writes. With synchronous=NORMAL a `kill -9` of the writer
loses nothing that `append` returned for; a power cut may lose the last moments of the record,
never its consistency (`close` makes all of it durable).
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from evener import errors, events
from evener.events import Record, RunEnded
from evener.rundir import blocks, layout, tables
from evener.rundir.blocks import Kept

BUSY_S = 10.0  # how long a statement waits for another process that holds the file
PAGE = 5000
LOG_PAGES = 8192  # of 4 kB: when a writer that nobody relieves puts its log into the file
BREATH_S = 0.001  # between two turns of settling, for whoever wants to write an event
_RECORD = "kind, time, source, number, body"
_ENVELOPE = ("v", "kind", "time", "source", "number")  # in columns of their own
_EVENTS = "INSERT OR IGNORE INTO events (source, number, kind, time, body) VALUES {rows}"
_NO_RIGHT = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


class Store:
    """Open with `Store.open`, use in a `with`. Threads may share one; they take turns.

    A reader of a record that does not exist yet, or is just being made, finds it empty, and finds
    its events as soon as they are there.
    """

    def __init__(self, path: Path, *, write: bool) -> None:
        self.path = path
        self._write = write
        self._turn = threading.RLock()
        self._db: sqlite3.Connection | None = None

    @classmethod
    def open(cls, path: Path, *, write: bool) -> Self:
        """Damage and another program's file are found here: StoreDamaged."""
        store = cls(path, write=write)
        with store._translated():
            store._connection()
        return store

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """A writer's close puts the log into the file, on the disk itself."""
        with self._turn:
            db, self._db = self._db, None
            if db is None:
                return
            try:
                if self._write:
                    with self._translated():
                        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                db.close()

    # ------------------------------------------------------------------------- writing

    def append(self, records: Iterable[Record]) -> list[tuple[int, Record]]:
        """Put records at the end, all or none; those known by (source, number) are passed over.

        Returns the new ones with their numbers, which have no gaps. DiskFull leaves the record as
        it was: try again later.
        """
        written = [(record, _row(record)) for record in records]
        with self._transaction() as db:
            return _put(db, written)

    def import_spool(self, name: str, records: Iterable[Record], end_bytes: int) -> int:
        """`append`, and remember in the same breath how far the spool file `name` was read."""
        stored, left = 0, iter(records)
        with self._transaction() as db:
            while part := [(record, _row(record)) for record in itertools.islice(left, PAGE)]:
                stored += len(_put(db, part))
            db.execute("INSERT OR REPLACE INTO spools VALUES (?, ?)", (name, end_bytes))
            return stored

    def checkpoint(self) -> None:
        """Put the log into the file, as far as no reader needs it: by a connection of its own, so
        that no event waits for the disk. A writer that nobody does this for does it itself, later.
        """
        db = self._connect()
        if db is None:
            return
        with self._translated(), contextlib.closing(db):
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def settle(self) -> None:
        """Bring the blocks that charts read up to date: now and then, in short transactions.

        Charts are right without it, but the more there is to settle, the slower.
        """
        for kept in blocks.KEPT:
            for level in blocks.LEVELS:
                while self._settle_some(kept, level) == blocks.TURN:
                    time.sleep(BREATH_S)

    def _settle_some(self, kept: Kept, level: int) -> int:
        with self._transaction() as db:
            return blocks.settle(db, kept, level)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._turn, self._translated():
            db = self._connection()
            assert db is not None
            assert self._write
            with _committing(db):
                yield db

    # ------------------------------------------------------------------------- reading

    def since(
        self, seq: int, limit: int = PAGE, kinds: tuple[str, ...] = ()
    ) -> list[tuple[int, Record]]:
        """Up to `limit` records after `seq`, in the order they came in; `kinds` narrows them."""
        chosen = f"AND kind IN ({', '.join('?' * len(kinds))})" if kinds else ""
        query = f"SELECT {_RECORD}, seq FROM events WHERE seq > ? {chosen} ORDER BY seq LIMIT ?"
        while rows := self._rows(query, (seq, *kinds, limit)):
            if found := self._known(rows):
                return found
            seq = rows[-1][-1]  # a whole page of kinds that only another version knows
        return []

    def records(self) -> Iterator[Record]:
        """All of them, a page at a time: a long run's record need not fit into memory."""
        seq = 0
        while page := self.since(seq):
            yield from (record for _, record in page)
            seq = page[-1][0]

    @property
    def last_seq(self) -> int:
        """The number of the newest record, 0 where there is none. Cheap: often asked."""
        rows = self._rows("SELECT MAX(seq) FROM events", ())
        return int(rows[0][0] or 0) if rows else 0

    def last(self, kind: str, limit: int) -> list[tuple[int, Record]]:
        """The last `limit` records of a kind, in the order they came in."""
        query = f"SELECT {_RECORD}, seq FROM events WHERE kind = ? ORDER BY seq DESC LIMIT ?"
        return self._known(reversed(self._rows(query, (kind, limit))))

    def before(self, seq: int | None, limit: int, kinds: Iterable[str]) -> list[tuple[int, Record]]:
        """The last `limit` records of `kinds` before number `seq` (of all), in their order.

        Each kind is looked up by itself: between two of them may be a million of others.
        """
        query = "SELECT seq FROM events WHERE kind = ? AND seq < ? ORDER BY seq DESC LIMIT ?"
        end = 2**63 - 1 if seq is None else seq
        found = [row[0] for kind in kinds for row in self._rows(query, (kind, end, limit))]
        chosen = ", ".join(map(str, heapq.nlargest(limit, found)))
        whole = f"SELECT {_RECORD}, seq FROM events WHERE seq IN ({chosen}) ORDER BY seq"
        return self._known(self._rows(whole, ()))

    @property
    def has_ended(self) -> bool:
        """Whether the run is over, since it began the last time."""
        newest = self.newest("RunStarted", "RunEnded")
        return newest is not None and isinstance(newest.event, RunEnded)

    def newest(self, *kinds: str) -> Record | None:
        """The last record of any of `kinds`."""
        marks = ", ".join("?" * len(kinds))
        query = f"SELECT {_RECORD} FROM events WHERE kind IN ({marks}) ORDER BY seq DESC LIMIT 1"
        rows = self._rows(query, kinds)
        return self._parse(rows[0]) if rows else None

    def series(self, name: str) -> list[tuple[int, float]]:
        """A number by step. What was not a number when it was measured is nan here."""
        rows = self._rows("SELECT step, value FROM metrics WHERE name = ? ORDER BY step", (name,))
        return [(step, float("nan") if value is None else value) for step, value in rows]

    def values(self, name: str, first: int, last: int) -> list[tuple[int, float | None]]:
        """A number by step, from the last one at or before `first` to `last`."""
        query = (
            "SELECT step, value FROM metrics WHERE name = :name AND step <= :last AND step >= "
            "ifnull((SELECT max(step) FROM metrics WHERE name = :name AND step <= :first), :first)"
            " ORDER BY step"
        )
        return self._rows(query, {"name": name, "first": first, "last": last})

    def last_step(self, name: str) -> int:
        """The last step that has a value of `name`, -1 where none has."""
        rows = self._rows("SELECT MAX(step) FROM metrics WHERE name = ?", (name,))
        return -1 if not rows or rows[0][0] is None else int(rows[0][0])

    def imported_bytes(self, name: str) -> int:
        """How far the spool file `name` has been imported."""
        rows = self._rows("SELECT imported_bytes FROM spools WHERE name = ?", (name,))
        return int(rows[0][0]) if rows else 0

    def select(self, query: str, **values: Any) -> list[Any]:
        """For the rooms beside this one: what of the tables a query finds."""
        return self._rows(query, values)

    def _rows(self, query: str, values: tuple[Any, ...] | dict[str, Any]) -> list[Any]:
        with self._turn, self._translated():
            db = self._connection()
            return [] if db is None else db.execute(query, values).fetchall()

    def _known(self, rows: Iterable[Any]) -> list[tuple[int, Record]]:
        """Numbers and records, without those of kinds that only another version knows."""
        parsed = ((number, self._parse(row)) for *row, number in rows)
        return [(number, record) for number, record in parsed if record is not None]

    def _parse(self, row: Sequence[Any]) -> Record | None:
        kind, time, source, number, body = row
        envelope = {"kind": kind, "time": time, "source": source, "number": number}
        try:
            return events.from_dict(json.loads(body) | envelope)
        except (ValueError, TypeError) as error:
            raise self._damaged(str(error)) from error

    # ---------------------------------------------------------------------- connecting

    def _connection(self) -> sqlite3.Connection | None:
        """The open database, or None for a reader that came before the writer was ready."""
        if self._db is None:
            db = self._connect()
            if db is None:
                return None
            try:
                ready = self._prepare(db)
            except BaseException:
                db.close()
                raise
            if not ready:
                db.close()
                return None
            self._db = db
        return self._db

    def _connect(self) -> sqlite3.Connection | None:
        if not self._write and not self.path.is_file():
            return None
        return sqlite3.connect(
            self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )

    def _prepare(self, db: sqlite3.Connection) -> bool:
        """Check whose file it is, make the tables of a new one; False while others make them."""
        if not self._write:
            db.execute("PRAGMA query_only = ON")
            return not self._is_empty(db)
        self._is_empty(db)  # before WAL: another program's file stays as it is
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        with _committing(db):
            if self._is_empty(db):
                _create(db)
            _complete(db)
        return True

    def _is_empty(self, db: sqlite3.Connection) -> bool:
        if _pragma(db, "schema_version") == 0:
            return True
        if _pragma(db, "application_id") != tables.APPLICATION:
            raise self._damaged("the file was made by another program")
        version = _pragma(db, "user_version")
        if version != tables.FORMAT:
            raise self._damaged(f"its format is {version}, this evener reads {tables.FORMAT}")
        return False

    # -------------------------------------------------------------------------- errors

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            with layout.translated(self.path):
                yield
        except sqlite3.Error as error:
            raise self._translate(error) from error

    def _translate(self, error: sqlite3.Error) -> errors.EvenerError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code
        where = str(self.path)
        if code == sqlite3.SQLITE_FULL:
            return layout.disk_full(self.path)
        if code in _NO_RIGHT:
            return errors.NotPermitted(
                f"the system does not let evener use the run's record: {error}",
                where=where,
                fix="check owner and mode of the file and its folder",
            )
        if code in _BUSY:
            return errors.RunActive(
                "another process writes this run's record",
                where=where,
                fix="wait for it to end, or stop the run with `evener stop`",
            )
        return self._damaged(str(error))

    def _damaged(self, reason: str) -> errors.StoreDamaged:
        return errors.StoreDamaged(
            f"the run's record cannot be read: {reason}",
            where=str(self.path),
            fix="move the file away to go on without the past; checkpoints are not touched by it",
        )


def _row(record: Record) -> tables.Row:
    values = events.to_dict(record)
    body = {k: v for k, v in values.items() if k not in _ENVELOPE}
    return record.source, record.number, values["kind"], record.time, _dense(body)


def _put(
    db: sqlite3.Connection, written: Sequence[tuple[Record, tables.Row]]
) -> list[tuple[int, Record]]:
    """Those that are not known yet, with their numbers."""
    added = tables.put(db, _EVENTS, [row for _, row in written])
    if not added:
        return []
    first = db.execute("SELECT last_insert_rowid()").fetchone()[0] - added + 1
    if added == len(written):
        new = list(enumerate((record for record, _ in written), first))
    else:
        told = {(r.source, r.number): r for r, _ in reversed(written)}
        query = "SELECT seq, source, number FROM events WHERE seq >= ? ORDER BY seq"
        new = [(seq, told[source, number]) for seq, source, number in db.execute(query, (first,))]
    tables.project(db, [record for _, record in new])
    return new


@contextlib.contextmanager
def _committing(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # on a full disk SQLite has rolled back already
            db.execute("ROLLBACK")
        raise


def _dense(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _create(db: sqlite3.Connection) -> None:
    for statement in tables.SCHEMA:
        db.execute(statement)
    db.execute(f"PRAGMA application_id = {tables.APPLICATION}")
    db.execute(f"PRAGMA user_version = {tables.FORMAT}")


def _complete(db: sqlite3.Connection) -> None:
    """Add what an earlier version did not make."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'timings'").fetchone():
        for statement in tables.CHARTS:
            db.execute(statement)


def _pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])
