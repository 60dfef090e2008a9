"""All numbers of a run as two tables for other programs, CSV or Parquet.

    FILE.csv         step, time, samples, name, value        one row for each number told
    FILE-ranks.csv   rank, step, time, steps, share, ...     one row for each report of a rank

The first is long: `pandas.read_csv(FILE).pivot(index="step", columns="name", values="value")`
makes it wide. `time` is in seconds since 1970 by the clock of who told it, `samples` how many
were consumed by then. A step that was done again is there once, as told last. What was not a
number is an empty cell, or null. Names come in order, and in each the steps; rows are written as
they are read, so a run may be larger than memory.
"""

from __future__ import annotations

import contextlib
import csv
import importlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from evener.errors import ExtraMissing
from evener.rundir import layout
from evener.rundir.history import SAMPLES, History
from evener.rundir.store import Store
from evener.rundir.tables import TIMINGS

Rows = list[tuple[Any, ...]]
PAGE = 20_000  # rows in memory at once, and in a group of Parquet's
_FIRST = -(2**63)
_WHOLE = ("rank", "step", "samples", "steps", "memory_bytes")


class Format(StrEnum):
    """Every program reads CSV; Parquet is smaller and knows its types."""

    csv = "csv"
    parquet = "parquet"


@dataclass(frozen=True, slots=True)
class Table:
    """What is written into one file."""

    columns: tuple[str, ...]
    pages: Iterator[Rows]


def write(store: Store, file: Path, form: Format = Format.csv) -> dict[Path, int]:
    """Both files, each whole or not at all; returns the number of rows in each."""
    history = History(store)
    ranks = file.with_name(f"{file.stem}-ranks{file.suffix}")
    writing = _parquet if form is Format.parquet else _csv
    tables = {file: _numbers(store, history), ranks: _timings(store, history)}
    return {path: _write(path, table, writing) for path, table in tables.items()}


def _numbers(store: Store, history: History) -> Table:
    def pages() -> Iterator[Rows]:
        for name in (name for name in history.names() if name != SAMPLES):
            for rows in _paged(store, "metrics", "step, time, value", "name", name):
                samples = history.samples_at([row[0] for row in rows])
                yield [
                    (step, time, consumed, name, value)
                    for (step, time, value), consumed in zip(rows, samples, strict=True)
                ]

    return Table(("step", "time", "samples", "name", "value"), pages())


def _timings(store: Store, history: History) -> Table:
    columns = ("step", "time", *TIMINGS)

    def pages() -> Iterator[Rows]:
        for rank in history.ranks():
            for rows in _paged(store, "timings", ", ".join(columns), "rank", rank):
                yield [(rank, *row) for row in rows]

    return Table(("rank", *columns), pages())


def _paged(store: Store, table: str, columns: str, key: str, value: Any) -> Iterator[Rows]:
    """The rows of one key in the order of steps; `columns` begin with the step."""
    step = _FIRST
    query = (
        f"SELECT {columns} FROM {table} WHERE {key} = :value AND step >= :step"
        f" ORDER BY step LIMIT {PAGE}"
    )
    while rows := store.select(query, value=value, step=step):
        yield rows
        step = rows[-1][0] + 1


# --------------------------------------------------------------------------- the formats

Write = Callable[[Rows], None]


def _write(
    path: Path,
    table: Table,
    writing: Callable[[Path, tuple[str, ...]], AbstractContextManager[Write]],
) -> int:
    count = 0
    with _landing(path) as temporary, writing(temporary, table.columns) as write_page:
        for rows in table.pages:
            write_page(rows)
            count += len(rows)
    return count


@contextlib.contextmanager
def _csv(path: Path, columns: tuple[str, ...]) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        yield writer.writerows


@contextlib.contextmanager
def _parquet(path: Path, columns: tuple[str, ...]) -> Iterator[Write]:
    if find_spec("pyarrow") is None:
        what = "writing Parquet needs the package pyarrow"
        raise ExtraMissing(what, where="--format parquet", fix='pip install "evener[parquet]"')
    arrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    types = {"name": arrow.string(), **dict.fromkeys(_WHOLE, arrow.int64())}
    schema = arrow.schema([(name, types.get(name, arrow.float64())) for name in columns])
    with parquet.ParquetWriter(path, schema) as writer:

        def write_page(rows: Rows) -> None:
            values = zip(*rows, strict=True)
            told = zip(values, schema, strict=True)
            arrays = [arrow.array(column, field.type) for column, field in told]
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))

        yield write_page


@contextlib.contextmanager
def _landing(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place once it is written, and on the disk itself."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    with layout.translated(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
