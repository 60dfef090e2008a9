"""A run's record, read from its head: where the file of it lies on another kernel's disk.

Docker Desktop shares folders with a virtual machine; a database that is being written there must
not be opened here at the same time.
"""

from __future__ import annotations

import http.client
import json

from evener import events
from evener.events import Record
from evener.wire.frames import split_address

PATH = "/v1/records"
ASK_S = 5.0


class Reading:
    """One connection to a head; whatever is wrong with it or its answer is an OSError."""

    def __init__(self, address: str, secret: str) -> None:
        host, port = split_address(address)
        self._connection = http.client.HTTPConnection(host, port, timeout=ASK_S)
        self._headers = {"Authorization": f"Bearer {secret}"}

    def since(self, seq: int) -> list[tuple[int, Record]]:
        """What `rundir.Store.since` would say: a page of records after `seq`."""
        try:
            self._connection.request("GET", f"{PATH}?after={seq}", headers=self._headers)
            answer = self._connection.getresponse()
            body = answer.read()
            if answer.status != http.client.OK:
                raise OSError(f"the head answers {answer.status}")
            found = [(int(n), events.from_dict(told)) for n, told in json.loads(body)["records"]]
        except (http.client.HTTPException, ValueError, KeyError, TypeError) as error:
            raise OSError(f"the head's answer cannot be read: {error}") from error
        return [(number, record) for number, record in found if record is not None]

    def close(self) -> None:
        self._connection.close()
