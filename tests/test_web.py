"""Whoever does not come to the point is hung up on; whoever waits for an answer is not."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from evener import web

LIMIT_S, PATIENCE_S = 1.5, 60.0  # longer than a busy machine takes from a call to its words
ASKS = b"GET /slow HTTP/1.1\r\nHost: here\r\n\r\n"


async def slow(request: Request) -> Response:
    await asyncio.sleep(1.3 * LIMIT_S)
    return PlainTextResponse("at last")


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    monkeypatch.setattr(web, "REQUEST_S", LIMIT_S)
    server = web.Server(Starlette(routes=[Route("/slow", slow)]), 1)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
        serving.start()
        yield listening.getsockname()
        server.end()
        serving.join(PATIENCE_S)


@pytest.fixture
def caller(address: tuple[str, int]) -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=PATIENCE_S) as made:
        yield made


def answer(caller: socket.socket) -> bytes:
    said = b""
    while not said.endswith(b"at last"):
        more = caller.recv(4096)
        assert more, said
        said += more
    return said


def is_hung_up_on(caller: socket.socket) -> bool:
    try:
        return caller.recv(4096) == b""
    except ConnectionResetError:
        return True


def test_who_does_not_come_to_the_point_is_hung_up_on(address: tuple[str, int]) -> None:
    with ExitStack() as opened:
        callers = []
        for said in (b"", ASKS[:7], ASKS[:-2]):
            made = socket.create_connection(address, timeout=PATIENCE_S)
            callers.append(opened.enter_context(made))
            made.sendall(said)
        assert all(map(is_hung_up_on, callers))


def test_nor_does_it_help_to_say_it_letter_by_letter(caller: socket.socket) -> None:
    caller.settimeout(LIMIT_S / 10)
    for letter in ASKS[:-2] + b"X-More: " + b"x" * 1000:
        try:
            caller.sendall(bytes([letter]))
            if caller.recv(4096) == b"":
                return
        except TimeoutError:
            continue
        except (ConnectionResetError, BrokenPipeError):
            return
    raise AssertionError("it was listened to for all of that")


def test_an_answer_may_take_its_time_and_the_next_request_has_not(caller: socket.socket) -> None:
    caller.sendall(ASKS)
    assert b"200 OK" in answer(caller)
    caller.sendall(ASKS[:7])
    assert is_hung_up_on(caller)
