"""The web server under a head, a viewer and a pool: what is installed beside it changes nothing."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

KEEP_ALIVE_S = 75  # above the 2 s between two posts of an agent


class Server(uvicorn.Server):
    """Signals stay with whoever serves: uvicorn would end the process by the one it got.
    `goodbye_s` is for requests under way when the end has come. Answers say neither what serves
    nor when: a stranger learns nothing. In the clear, or by what `secure` says."""

    def __init__(self, app: ASGIApp, goodbye_s: int, secure: ssl.SSLContext | None = None) -> None:
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http="h11",
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
