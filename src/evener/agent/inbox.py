"""One thing at a time: what happens waits here, in order, and is handled without waiting itself.

What is done beside (`spawn`) hands its result in here too, so nothing of the agent is ever touched
from two places at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from evener.agent import ending
from evener.errors import EvenerError

log = logging.getLogger(__name__)

TICK_S = 0.05
MANY = 1000  # above it ranks and agents wait with what they say

Happening = Callable[[], None]
T = TypeVar("T")


def _nothing(result: object) -> None:
    """Nobody waits for it."""


class Inbox:
    """`tick` is called every TICK_S while it is pumped; `fail` hears what a happening raised."""

    def __init__(self, tick: Callable[[float], None], fail: Callable[[EvenerError], None]) -> None:
        self._tick, self._fail = tick, fail
        self._happenings: asyncio.Queue[Happening] = asyncio.Queue()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._unasked: set[asyncio.Task[Any]] = set()
        self._next_tick_s = 0.0

    @property
    def crowded(self) -> bool:
        return self._happenings.qsize() > MANY

    def post(self, happening: Happening) -> None:
        self._happenings.put_nowait(happening)

    def take(self) -> Happening:
        return self._happenings.get_nowait()

    async def pump(self, until: Callable[[], bool], timeout_s: float = math.inf) -> bool:
        """Handle what happens until `until` holds; False when it did not in time."""
        deadline = time.monotonic() + timeout_s
        while not until():
            now = time.monotonic()
            if now >= deadline:
                return False
            if now >= self._next_tick_s:
                self._next_tick_s = now + TICK_S
                self.handle(partial(self._tick, now))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(self._next_tick_s - now, 0)):
                    self.handle(await self._happenings.get())
        return True

    def handle(self, happening: Happening) -> None:
        """What goes wrong in here ends the run: an agent that has lost its mind must not lead."""
        try:
            happening()
        except EvenerError as error:
            self._fail(error)
        except Exception as error:
            log.exception("the agent failed")
            self._fail(ending.own_failure(error))

    # ---------------------------------------------------------------- beside the loop

    def spawn(self, work: Coroutine[Any, Any, T], then: Callable[[T], None] = _nothing) -> None:
        """Beside the loop; what comes of it, a failure too, is handled in it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        if then is _nothing:
            self._unasked.add(task)
        task.add_done_callback(partial(self._spawned_ended, then))

    async def beside(self, call: Callable[[], object]) -> None:
        """What blocks, in a thread, until it is done; what happens meanwhile is handled."""
        await self.pump(asyncio.create_task(asyncio.to_thread(call)).done)

    def cancel(self) -> None:
        """Nobody waits any more for what is done beside. What nobody has waited for goes on."""
        for task in self._tasks - self._unasked:
            task.cancel()

    def hush(self) -> None:
        """That does nothing more, either."""
        for task in self._unasked:
            task.cancel()

    async def close(self) -> None:
        self.cancel()
        self.hush()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawned_ended(self, then: Callable[[T], None], task: asyncio.Task[T]) -> None:
        self._tasks.discard(task)
        self._unasked.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self.post(partial(then, task.result()))
        else:
            log.error("the agent failed", exc_info=error)
            self.post(partial(self._fail, ending.own_failure(error)))
