"""Whether a name is known is said in time, whoever would have to say it."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from evener.wire import names
from evener.wire.channel import connect


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


def test_what_can_be_no_name_is_no_names_and_may_be_asked_again() -> None:
    for _ in range(2):
        with pytest.raises(socket.gaierror, match="can be no name"):
            names.need("a" * 70, 7070)
    with pytest.raises(socket.gaierror, match="can be no name"):
        asyncio.run(connect(f"{'a' * 70}:7070", "secret", {}))


def test_a_loop_ends_though_a_name_is_still_asked_for_and_each_is_asked_for_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known, said, asked = socket.getaddrinfo, threading.Event(), list[str]()

    def silent(host: str, *more: Any, **others: Any) -> Any:
        if host != "gone" or others.get("flags"):
            return known(host, *more, **others)
        asked.append(host)
        said.wait(60)
        return []

    async def dial() -> None:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await connect("gone:7070", "secret", {}, timeout_s=0.05)

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    asyncio.run(dial())
    assert (asked, said.is_set()) == (["gone"], False)
    said.set()


def test_all_addresses_of_a_name_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def two(host: str, port: int, **others: Any) -> Any:
        if others.get("flags"):
            raise socket.gaierror(socket.EAI_NONAME, "no number")
        return [(2, 1, 6, "", (each, port)) for each in ("127.0.0.1", "127.0.0.2")]

    with socket.create_server(("127.0.0.2", 0)) as second:
        monkeypatch.setattr(socket, "getaddrinfo", two)
        port = second.getsockname()[1]
        with pytest.raises(TimeoutError):  # it does not greet; the first one would refuse
            asyncio.run(connect(f"both:{port}", "secret", {}, timeout_s=0.2))
