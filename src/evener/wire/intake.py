"""One kept connection to where a head takes events in, and what it answers."""

from __future__ import annotations

import http.client
import json

from evener.wire import calls

PATH = "/v1/events"
CONNECT_S, REQUEST_S = 2.0, 5.0


class Intake:
    """One kept connection to the head's intake."""

    def __init__(self, address: str, secret: str) -> None:
        self.address = address
        self._server = calls.parse(address)
        self._headers = {
            "Authorization": f"Bearer {secret}",
            "Content-Type": "application/json",
        }
        self._connection: http.client.HTTPConnection | None = None
        self.answer = b""  # to the last post that was answered

    def post(self, body: bytes) -> int | None:
        """The status of the answer, None without one."""
        reused = self._connection is not None
        try:
            return self._post(body)
        except (ConnectionError, http.client.BadStatusLine):
            self.close()
            if not reused:
                return None
        except (OSError, http.client.HTTPException):
            self.close()
            return None
        return self.post(body)  # the head closed a connection that was idle: once more on a new one

    def _post(self, body: bytes) -> int:
        if self._connection is None:
            fresh = self._server.connection(CONNECT_S)
            fresh.connect()
            fresh.sock.settimeout(REQUEST_S)
            self._connection = fresh
        self._connection.request("POST", self._server.path + PATH, body, self._headers)
        answer = self._connection.getresponse()
        self.answer = answer.read()
        return answer.status

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def asks_of(answer: bytes) -> list[tuple[str, str]]:
    """The asks in a head's answer: none in one of an earlier version, or in what cannot be read."""
    try:
        return [(str(name), str(what)) for name, what in json.loads(answer)["asks"]]
    except (ValueError, TypeError, KeyError):
        return []
