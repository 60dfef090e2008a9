"""The web server under a head, a viewer and a pool: what is installed beside it changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

KEEP_ALIVE_S = 75  # above the 2 s between two posts of an agent
LOOK_S = 5.0  # should nobody ring
REQUEST_S = 20.0  # for a request to say what it asks for, its body not counted


class _Caller(H11Protocol):
    """A connection. Whoever opens one and does not come to the point is hung up on: a stranger
    could hold all that there may be of them."""

    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}  # for who answers without end
        self._begin()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._end()  # it has said it, and is being answered
        elif self._limit is None:
            self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        super().connection_lost(exc)

    def _begin(self) -> None:
        self._limit = self.loop.call_later(REQUEST_S, self.transport.abort)

    def _end(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None


class Bell:
    """Wakes who waits on a loop: rung from any thread, and by signals. Whoever looks many times a
    second instead takes as much of the processor from ranks beside it as all its work does."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: set[asyncio.Future[None]] = set()

    async def wait(self, until: Callable[[], bool], most_s: float) -> None:
        """Until it rings, unless `until` holds already, or for so long. Whoever makes that hold
        rings afterwards: so none is missed, though a ring that nobody waits for is not kept."""
        self._loop = asyncio.get_running_loop()
        rung = self._loop.create_future()
        self._waiting.add(rung)
        try:
            if not until():
                await asyncio.wait([rung], timeout=most_s)
        finally:
            self._waiting.discard(rung)

    def ring(self) -> None:
        if self._waiting and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for rung in self._waiting:
            if not rung.done():
                rung.set_result(None)


class Server(uvicorn.Server):
    """Signals stay with whoever serves: uvicorn would end the process by the one it got.
    `goodbye_s` is for requests under way when the end has come. Answers say neither what serves
    nor when: a stranger learns nothing. In the clear, or by what `secure` says."""

    def __init__(self, app: ASGIApp, goodbye_s: int, secure: ssl.SSLContext | None = None) -> None:
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http=_Caller,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=goodbye_s,
        )
        config.load()
        config.ssl = secure
        super().__init__(config)
        self._bell = Bell()

    def end(self) -> None:
        """Any thread, or a signal's handler: serve no more."""
        self.should_exit = True
        self._bell.ring()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._bell.ring()

    async def main_loop(self) -> None:
        """Without uvicorn's ten looks a second."""
        while not await self.on_tick(0):
            await self._bell.wait(lambda: self.should_exit, LOOK_S)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
