"""Where datagrams of members come in by TCP, and go to the nebula of this machine: to it alone.

Each member's go by a port of their own, so that nebula tells them apart and answers each. They are
not looked into: who is in the mesh says nebula, which lets nobody in without a certificate.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Coroutine
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from evener.contract import LOOPBACK
from evener.pool.attendance import Presence
from evener.pool.datagrams import LARGEST, Cutter, Waiting
from evener.pool.detour import KERNEL_BYTES, ROUND
from evener.wire import frames

UNSENT_BYTES = 2**16  # above which no more is given to a connection


class Inlets:
    """One at most for each member: a new one takes the place of one whose end was not heard of."""

    def __init__(self, port: int) -> None:
        self._port = port  # of nebula
        self._open: dict[str, Inlet] = {}

    def made(self, member_id: str, presence: Presence) -> Response:
        self.end(member_id)
        self._open[member_id] = Inlet(self._port, presence)
        return self._open[member_id]

    def end(self, member_id: str) -> None:
        if (known := self._open.pop(member_id, None)) is not None:
            known.end()

    def close(self) -> None:
        for member_id in [*self._open]:
            self.end(member_id)


class Inlet(Response):
    """The answer to a request without an end, while that still comes in."""

    def __init__(self, port: int, presence: Presence) -> None:
        super().__init__(media_type="application/octet-stream")
        del self.headers["content-length"]
        self._port, self._presence = port, presence
        self._waiting, self._news, self._over = Waiting(), asyncio.Event(), asyncio.Event()

    def end(self) -> None:
        self._over.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _keep_short(scope["state"]["transport"])
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near:
            near.setblocking(False)
            near.connect((LOOPBACK, self._port))
            loop.add_reader(near, self._arrived, near)
            self._presence.detours += 1
            try:
                await send(
                    {
                        "type": "http.response.start",
                        "status": self.status_code,
                        "headers": self.raw_headers,
                    }
                )
                await _first_of(self._out(send), _inward(receive, near), self._over.wait())
            finally:
                self._presence.detours -= 1
                loop.remove_reader(near)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _arrived(self, near: socket.socket) -> None:
        """From nebula."""
        with contextlib.suppress(OSError):  # there are no more, or it is not there
            for _ in range(ROUND):
                self._waiting.put(near.recv(LARGEST))
        self._news.set()

    async def _out(self, send: Send) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                piece = self._waiting.take()
                await send({"type": "http.response.body", "body": piece, "more_body": True})


async def _inward(receive: Receive, near: socket.socket) -> None:
    """To nebula."""
    cutter = Cutter()
    while (message := await receive())["type"] == "http.request":
        for datagram in cutter.feed(message["body"]):
            with contextlib.suppress(OSError):  # it takes no more, or is not there
                near.send(datagram)


async def _first_of(*works: Coroutine[Any, Any, object]) -> None:
    """Until one of them has ended; the others are ended too."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


def _keep_short(transport: asyncio.Transport) -> None:
    """What waits in a connection makes all that follows late; and one whose other end has fallen
    asleep ends."""
    transport.set_write_buffer_limits(high=UNSENT_BYTES)
    sock = transport.get_extra_info("socket")
    frames.tune(sock, {})
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
