"""Pages for tests: of a run that never was, and of one whose record a test adds to."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp

from evener import state
from evener.dashboard import app
from evener.dashboard.source import Ask, Listed
from evener.events import Record
from evener.rundir.history import History
from evener.rundir.layout import RunDir
from evener.rundir.store import Store
from evener.state import RunState
from tests import synthetic_run
from tests.faults import runs
from tests.synthetic_run import Script

KEY = "the key of tests"
NAME = "demo"


@dataclass
class Played:
    """One run whose end a test decides: a `RunSource`, and the `Runs` that has it alone."""

    run: RunDir
    store: Store
    live: bool = False
    acts: bool = True
    asked: list[Ask] = field(default_factory=list)

    def newest(self) -> int:
        return self.store.last_seq

    async def grown(self, seq: int, most_s: float) -> None:
        await asyncio.sleep(min(most_s, 0.02))

    def state(self) -> RunState:
        return state.fold(self.store.records())

    def since(self, seq: int) -> list[tuple[int, Record]]:
        return self.store.since(seq)

    def history(self) -> History:
        return History(self.store)

    def ask(self, what: Ask) -> None:
        self.asked.append(what)

    def alone(self) -> str | None:
        return None

    def states(self) -> list[Listed]:
        return [Listed(self.run, self.state(), self.live)]

    def find(self, name: str) -> Played | None:
        return self if name == self.run.name else None

    def elsewhere(self, name: str) -> None: ...


@contextlib.contextmanager
def played(folder: Path, script: Script | None = None) -> Iterator[Played]:
    """The synthetic run; with no script, one that has not begun."""
    told = list(synthetic_run.records(script)) if script else []
    run = synthetic_run.run_with(folder, told, NAME)
    with Store.open(run.db, write=True) as store:
        yield Played(run, store)


class Client:
    """Requests to the application itself, without a server around it."""

    def __init__(self, served: ASGIApp, **headers: str) -> None:
        self._served = served
        self.headers = headers

    def request(self, method: str, path: str, **told: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            door = httpx.ASGITransport(self._served, raise_app_exceptions=False)
            async with httpx.AsyncClient(
                transport=door, base_url="http://127.0.0.1:8501", headers=self.headers
            ) as client:
                return await client.request(method, path, **told)

        return asyncio.run(ask())

    def get(self, path: str, **told: Any) -> httpx.Response:
        return self.request("GET", path, **told)

    def post(self, path: str, **told: Any) -> httpx.Response:
        return self.request("POST", path, **told)


def knowing(runs: Played) -> Client:
    """A client with the key."""
    return Client(app.build(runs, KEY), Authorization=f"Bearer {KEY}")


@contextlib.contextmanager
def shown(folder: Path) -> Iterator[str]:
    """The address of `evener dashboard` for the runs of a folder."""
    with subprocess.Popen(
        [sys.executable, "-m", "evener", "dashboard", "--no-open", "--dir", str(folder)],
        env=runs.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.send_signal(signal.SIGINT)
            assert server.wait(timeout=30) == 0
