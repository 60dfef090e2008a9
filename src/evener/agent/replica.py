"""A copy of the run's record and of what belongs to it, kept beside the head's by some agents.

Records have a source and a number, so copies need no order and no protocol: what one of two has
and the other lacks is told, and what is told twice is kept once.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from evener import events
from evener.rundir import freight, layout
from evener.rundir.layout import RunDir
from evener.rundir.store import Store
from evener.wire.asking import Asking, understood
from evener.wire.intake import PATH as EVENTS
from evener.wire.porter import HOME

FOLDER = "standin"
RECORDS = "/v1/records"
ANSWER_S = 5.0
PAGE = 500  # records that are told at once
PAGE_BYTES = 4 * 2**20


@dataclass(slots=True)
class Head:
    """What we know of one, by the folder that it keeps."""

    read: int = 0  # the number there of the last record that we took
    told: int = 0  # the number here of the last record that it has


class Replica:
    """Not for several threads. Where the disk or the head fails: OSError or EvenerError, as from
    those; the next call goes on from there."""

    def __init__(self, run: RunDir) -> None:
        self._own = run
        self.run = RunDir(run.path / FOLDER / run.name)
        self._heads: dict[str, Head] = {}
        self._store: Store | None = None

    def follow(self, address: str, secret: str, *, leads: bool) -> None:
        """Take what the head there has and we lack; tell it what it lacks. One that nobody has
        seen before is told all, by the agent that `leads`."""
        store = self._opened()
        with contextlib.closing(Asking(address, secret, ANSWER_S)) as asking:
            head = self._head(asking, 0 if leads else store.last_seq)
            _tell(asking, store, head)
            while page := _page(asking, head.read):
                store.append(record for _, record in page)
                head.read = page[-1][0]
            head.told = store.last_seq

    def tell(self, address: str, secret: str) -> int:
        """All that the head there lacks, while another process writes here. How much it was."""
        with (
            contextlib.closing(Asking(address, secret, ANSWER_S)) as asking,
            Store.open(self.run.db, write=False) as store,
        ):
            return _tell(asking, store, self._head(asking, 0))

    @property
    def run_has_ended(self) -> bool:
        with Store.open(self.run.db, write=False) as store:
            return store.has_ended

    def prepare(self) -> None:
        """What a head needs beside the record. Then this one leaves the record to it."""
        self.close()
        self.run.create()
        for name in freight.configs(self._own):
            _place(self._own.path / name, self.run.path / name)
        for file in self._own.cargo.glob("*"):
            _place(file, self.run.cargo / file.name)

    def close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    def _opened(self) -> Store:
        if self._store is None:
            self.run.create()
            self._store = Store.open(self.run.db, write=True)
        return self._store

    def _head(self, asking: Asking, told: int) -> Head:
        with understood():
            home = str(asking.ask("GET", HOME)["home"])
        return self._heads.setdefault(home, Head(told=told))


def _tell(asking: Asking, store: Store, head: Head) -> int:
    count = 0
    while page := store.since(head.told, PAGE):
        part: list[tuple[int, bytes]] = []
        size_bytes = 0
        for number, record in page:
            line = json.dumps(events.to_dict(record), separators=(",", ":")).encode()
            size_bytes += len(line)
            if part and size_bytes > PAGE_BYTES:
                break
            part.append((number, line))
        asking.ask("POST", EVENTS, b'{"events":[' + b",".join(line for _, line in part) + b"]}")
        head.told, count = part[-1][0], count + len(part)
    return count


def _page(asking: Asking, after: int) -> list[tuple[int, events.Record]]:
    with understood():
        told = asking.ask("GET", f"{RECORDS}?after={after}")["records"]
        read = [(int(number), events.from_dict(values)) for number, values in told]
    return [(number, record) for number, record in read if record is not None]


def _place(file: Path, target: Path) -> None:
    """The same file, or a copy where a file system does not give it two names."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.placed")
    with layout.translated(target):
        try:
            os.link(file, target)
        except OSError:
            shutil.copyfile(file, beside)
            beside.replace(target)
