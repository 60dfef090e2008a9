"""Real heads for tests: one in a thread, or one in a process of its own that can be killed."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evener import contract
from evener.contract import LOOPBACK, HeadEnv
from evener.events import Record
from evener.head.exhibit import Exhibit
from evener.head.keeper import Keeper
from evener.head.server import Head
from evener.rundir.layout import RunDir
from evener.rundir.store import Store

SECRET = "a secret of tests"


def made(folder: Path) -> RunDir:
    run = RunDir(folder / "demo")
    run.create()
    return run


def recorded(run: RunDir) -> list[Record]:
    with Store.open(run.db, write=False) as store:
        return list(store.records())


def bound(port: int = 0) -> socket.socket:
    return socket.create_server((LOOPBACK, port))


def address_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"{host}:{port}"


@contextmanager
def in_thread(
    run: RunDir, *, agents: int = 1, silence_s: float = 60.0, port: int = 0, alias: str = ""
) -> Iterator[str]:
    """The address of a head that serves until the block ends, or until it ends by itself."""
    env = HeadEnv(str(run.path), SECRET, expected_agents=agents, alias=alias)
    with (
        Store.open(run.db, write=True) as store,
        Store.open(run.db, write=False) as reader,
        bound(port) as listening,
    ):
        keeper = Keeper(run, store)
        head = Head(keeper, Exhibit(run, keeper, reader), env, silence_s)
        thread = threading.Thread(target=lambda: asyncio.run(head.serve(listening)), name="head")
        thread.start()
        try:
            yield address_of(listening)
        finally:
            head.stop()
            thread.join()


@dataclass
class HeadProcess:
    """`python -m evener.head`, started as a launcher does."""

    process: subprocess.Popen[bytes]
    address: str

    def await_answer(self) -> None:
        while True:
            try:
                assert post(self.address, {"events": []})[0] == 200
                return
            except OSError:
                assert self.process.poll() is None, "the head ended before it answered"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def in_process(run: RunDir, *, agents: int = 1, port: int = 0) -> Iterator[HeadProcess]:
    with bound(port) as listening:
        env = HeadEnv(str(run.path), SECRET, listening.fileno(), expected_agents=agents)
        process = subprocess.Popen(
            [sys.executable, "-m", "evener.head"],
            env=dict(os.environ) | contract.to_environ(env),
            pass_fds=[listening.fileno()],
            start_new_session=True,
        )
        head = HeadProcess(process, address_of(listening))
    try:
        head.await_answer()
        yield head
    finally:
        head.kill()


def ask(
    address: str, method: str, path: str, body: bytes | None = None, secret: str | None = SECRET
) -> tuple[int, Any]:
    """Status and parsed answer of one request on a connection of its own."""
    connection = http.client.HTTPConnection(address, timeout=20)
    headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None
    finally:
        connection.close()


def post(address: str, value: Any) -> tuple[int, Any]:
    return ask(address, "POST", "/v1/events", json.dumps(value).encode())
