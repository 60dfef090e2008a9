"""A head whose name is not known any more is found where it was last."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from evener.wire import calling
from evener.wire.calling import Calling


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def call(host: str, port: int) -> None:
    connection = Calling(host, port, timeout=5.0)
    connection.connect()
    connection.close()


def test_where_it_was_last(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    known, asked = socket.getaddrinfo, []

    def answer(host: str, *more: Any, **others: Any) -> Any:
        asked.append(host)
        if host == "head" and len(asked) > 1:
            raise socket.gaierror(-3, "Temporary failure in name resolution")
        return known("127.0.0.1" if host == "head" else host, *more, **others)

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    monkeypatch.setattr(calling, "_last", {})
    monkeypatch.setattr(calling, "_nameless", set())
    for _ in range(3):
        call("head", port)
    assert asked == ["head", "head", "127.0.0.1", "127.0.0.1"]  # the third time nobody was asked


def test_a_name_that_nobody_ever_knew_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with pytest.raises(socket.gaierror):
        call("no-head", 7070)
