"""What agents had to write beside the record while the head was gone, brought into the record.

A spool file has one writer, only grows, and is removed by nobody but its writer. So it can be
imported at any time, while its writer lives too, and as often as one likes: the store remembers
how far it got, and knows a record it has seen.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from evener import events
from evener.events import Record
from evener.rundir import layout
from evener.rundir.layout import RunDir
from evener.rundir.rank_metrics import RankMetrics
from evener.rundir.store import Store

CHUNK_BYTES = 4 * 2**20


def recover(run: RunDir) -> int:
    """Import what is new in the spool files of `run`; returns how many records that were."""
    with Store.open(run.db, write=False) as store:
        waiting = [p for p in run.spools() if _size_bytes(p) > store.imported_bytes(p.name)]
    if not waiting:
        return 0
    with Store.open(run.db, write=True) as store:
        stored = sum(_import(path, store) for path in waiting)
        RankMetrics(run, store).write()
    return stored


def _import(path: Path, store: Store) -> int:
    stored = 0
    for lines, end_bytes in _chunks(path, store.imported_bytes(path.name)):
        stored += store.import_spool(path.name, _records(lines), end_bytes)
    return stored


def _chunks(path: Path, start_bytes: int) -> Iterator[tuple[list[bytes], int]]:
    """Whole lines from `start_bytes` on, and where they end. A line half written waits."""
    try:
        with layout.translated(path), path.open("rb") as file:
            file.seek(start_bytes)
            while lines := file.readlines(CHUNK_BYTES):
                torn = not lines[-1].endswith(b"\n")
                whole = lines[:-1] if torn else lines
                start_bytes += sum(map(len, whole))
                yield whole, start_bytes
                if torn:
                    return
    except FileNotFoundError:
        return  # its writer has brought everything home meanwhile


def _records(lines: Iterable[bytes]) -> Iterator[Record]:
    """A line that cannot be read is passed over: it must not keep the others out."""
    for line in lines:
        try:
            record = events.from_dict(json.loads(line))
        except (ValueError, AttributeError, RecursionError):
            continue
        if record is not None:
            yield record


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
