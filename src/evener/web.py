"""The web server under a head, a viewer and a pool: what is installed beside it changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

KEEP_ALIVE_S = 75  # above the 2 s between two posts of an agent
REQUEST_S = 20.0  # for a request to say what it asks for, its body not counted


class _Caller(H11Protocol):
    """A connection. Whoever opens one and does not come to the point is hung up on: a stranger
    could hold all that there may be of them."""

    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
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

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
