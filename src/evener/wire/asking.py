"""Requests to a run's head, for whoever waits for the answer.

Whatever is wrong with the head, the way to it or its answer is an OSError: try again later.
"""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator, Mapping
from typing import Any

from evener.wire import calls

NONE: Mapping[str, str] = {}
SHOWN_BYTES = 200  # of what a head says in place of an answer
CONNECT_S = 4.0  # for its machine to answer at all; what it is asked for may take longer


class AnswerError(OSError):
    """The head has answered, with a status that is not what was hoped for."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"the head answers {status}: {said}")
        self.status = status


class Asking:
    """One connection, made at the first request and again after trouble; not for several threads.
    `bearer` is the run's secret, or the key of its page. Close it."""

    def __init__(self, address: str, bearer: str, timeout_s: float) -> None:
        server = calls.parse(address)
        self._path, self._timeout_s = server.path, timeout_s
        self._connection = server.connection(min(timeout_s, CONNECT_S))
        self._headers = {"Authorization": f"Bearer {bearer}"}

    def ask(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        """The answer's JSON."""
        with self.open(method, path, body) as answer, understood():
            told = json.loads(answer.read())
        if not isinstance(told, dict):
            raise OSError("the head's answer is not what was asked for")
        return told

    @contextlib.contextmanager
    def open(
        self, method: str, path: str, body: bytes | None = None, more: Mapping[str, str] = NONE
    ) -> Iterator[http.client.HTTPResponse]:
        """With `more` headers. An answer to be read in pieces, to its end: one that breaks off is
        found out here."""
        try:
            self._connect()
            self._connection.request(method, self._path + path, body, {**self._headers, **more})
            answer = self._connection.getresponse()
            if not 200 <= answer.status < 300:
                said = answer.read()[:SHOWN_BYTES].decode(errors="replace")
                raise AnswerError(answer.status, said)
            yield answer
            if answer.length:
                raise OSError(f"the head's answer breaks off: {answer.length} bytes are missing")
        except http.client.HTTPException as error:
            self._connection.close()
            raise OSError(f"the head's answer cannot be read: {error!r}") from error
        except BaseException:
            self._connection.close()
            raise

    def _connect(self) -> None:
        if self._connection.sock is None:
            self._connection.connect()
            if self._connection.sock is not None:
                self._connection.sock.settimeout(self._timeout_s)

    def close(self) -> None:
        self._connection.close()


@contextlib.contextmanager
def understood() -> Iterator[None]:
    """That an answer is no JSON, or lacks what was asked for, is trouble like any other."""
    try:
        yield
    except (ValueError, KeyError, TypeError) as error:
        raise OSError(f"the head's answer cannot be read: {error!r}") from error
