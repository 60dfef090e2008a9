"""Whether a name is known is said in time, whoever would have to say it."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from evener.wire import names


def test_a_name_that_is_known_is_no_error() -> None:
    names.need("127.0.0.1", 1)


def test_what_nobody_says_in_time_is_taken_for_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    said = threading.Event()

    def silent(*_: Any, **__: Any) -> Any:
        said.wait(60)
        return []

    monkeypatch.setattr(names, "KNOWN_S", 0.05)
    monkeypatch.setattr(socket, "getaddrinfo", silent)
    with pytest.raises(socket.gaierror, match="where head is, nobody says"):
        names.need("head", 7070)
    said.set()


def test_what_nobody_knows_is_said_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with pytest.raises(socket.gaierror, match="not known"):
        names.need("head", 7070)
