"""A real server of a pool, with TLS, in a thread of the test."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from evener.contract import LOOPBACK
from evener.pool.authority import Authority
from evener.pool.client import Client
from evener.pool.house import Pool
from evener.pool.roll import Roll
from evener.pool.serving import PoolServer, listen
from evener.wire.calls import Server

POOL = Pool("a secret of tests", 0, LOOPBACK, (LOOPBACK,))


@contextmanager
def serving(folder: Path, pool: Pool = POOL, *, meshed: bool = False) -> Iterator[Pool]:
    """The pool, at the port where it is served. It signs nobody, whether `meshed` or not."""
    with listen(pool.bind, pool.port) as listening:
        at = replace(pool, port=listening.getsockname()[1])
        authority = Authority(folder / "mesh", at.pin, at.port) if meshed else None
        server = PoolServer(at, Roll(folder / "roll.json"), folder / "image", authority)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(listening)))
        thread.start()
        try:
            yield at
        finally:
            server.stop()
            thread.join()


def caller(pool: Pool, secret: str) -> Client:
    return Client(Server(LOOPBACK, pool.port, pin=pool.pin), secret)
