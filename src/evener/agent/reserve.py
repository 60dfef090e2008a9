"""A script's next processes, warm before they are needed: each has imported torch, and waits.

Importing takes seconds, on a machine with other work many more, and every start of a script waits
for its slowest process. So there is one more for each rank, which has come as far as it can
without knowing its place. It is told that when the time has come.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from evener.agent.child import Child
from evener.agent.team import Driven

POSSIBLE = sys.platform != "win32"  # elsewhere a process is not handed a socket
AWAIT_S = 20.0  # for one to be warm, before a rank counts as up without it
TRIES = 3  # a spare process that cannot live is a comfort to do without


class Warm(Child):
    """A process that waits to be told its place. It says when it is warm."""

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        on_end: Callable[[Child], None],
    ) -> None:
        self._line, theirs = socket.socketpair()
        self._ready, self._began_at = False, time.monotonic()
        with theirs:
            try:
                super().__init__(argv, env, log, on_end, stdin=theirs.fileno())
            except BaseException:
                self._line.close()
                raise

    @property
    def ready(self) -> bool:
        """Or not worth waiting for any longer."""
        if not self._ready:
            with contextlib.suppress(OSError, ValueError):  # the latter: it is closed
                said, _, _ = select.select([self._line], [], [], 0)
                self._ready = bool(said and self._line.recv(1))
        return self._ready or self.ended or time.monotonic() - self._began_at > AWAIT_S

    def begin(self, told: Mapping[str, str]) -> None:
        """Its place, as torchrun tells it. Where it has ended just now, that is heard next."""
        self.follow(self.log)
        with contextlib.suppress(OSError):
            self._line.sendall(json.dumps(dict(told)).encode() + b"\n")

    def _tell(self) -> None:
        self._line.close()
        super()._tell()


class Reserve:
    """Of one agent: a process for each of its ranks, while there is no reason against it."""

    def __init__(self, start: Callable[[Driven], Warm] | None) -> None:
        self._start = start
        self._waiting: dict[int, Warm] = {}  # by rank
        self._leaving: set[Child] = set()
        self._tries = TRIES

    def fill(self, team: Sequence[Driven]) -> None:
        for driven in team:
            rank = driven.plan.rank
            if self._start is not None and self._tries and rank not in self._waiting:
                self._waiting[rank] = self._start(driven)

    def is_ready(self, driven: Driven) -> bool:
        """Whether nothing is gained by waiting for this rank's any longer."""
        process = self._waiting.get(driven.plan.rank)
        return process is None or process.ready

    def take(self, driven: Driven, told: Mapping[str, str]) -> Child | None:
        """The process that waits for this rank, told its place; None where none lives."""
        process = self._waiting.pop(driven.plan.rank, None)
        if process is None:
            return None
        process.begin(told)
        return None if process.ended else process

    def ended(self, child: Child) -> bool:
        """Whether it was one of ours."""
        if child in self._leaving:
            self._leaving.discard(child)
            return True
        for rank, process in self._waiting.items():
            if process is child:
                del self._waiting[rank]
                self._tries -= 1
                return True
        return False

    def dismiss(self) -> None:
        """None is needed any more."""
        for process in self._waiting.values():
            process.kill()
            self._leaving.add(process)
        self._waiting.clear()

    @property
    def pids(self) -> set[int]:
        return {process.pid for process in (*self._waiting.values(), *self._leaving)}

    @property
    def empty(self) -> bool:
        return not self._waiting and not self._leaving
