"""A run's record, read from its head: where the file of it lies on another kernel's disk.

Docker Desktop shares folders with a virtual machine; a database that is being written there must
not be opened here at the same time.
"""

from __future__ import annotations

from evener import events
from evener.events import Record
from evener.wire.asking import Asking, understood

PATH = "/v1/records"
ASK_S = 5.0


class Reading:
    """One connection to a head; whatever is wrong with it or its answer is an OSError."""

    def __init__(self, address: str, secret: str) -> None:
        self._asking = Asking(address, secret, ASK_S)

    def since(self, seq: int) -> list[tuple[int, Record]]:
        """What `rundir.Store.since` would say: a page of records after `seq`."""
        with understood():
            told = self._asking.ask("GET", f"{PATH}?after={seq}")["records"]
            found = [(int(number), events.from_dict(each)) for number, each in told]
        return [(number, record) for number, record in found if record is not None]

    def close(self) -> None:
        self._asking.close()
