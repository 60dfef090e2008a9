"""How the agent's machine fares, looked at from a thread of its own: nothing ever waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Sequence
from typing import Self

from evener.cluster import Device
from evener.probe.load import Load, of_this_machine

log = logging.getLogger(__name__)

EVERY_S = 2.0
FIRST_S = 0.5  # somebody has just opened the page
JOIN_S = 0.5  # one that a driver does not let go of ends with the process


class Lookout:
    """Use in a `with`, on the loop that asks it. Without a thread to be had it says nothing."""

    def __init__(self, devices: Sequence[Device], every_s: float = EVERY_S) -> None:
        self._devices, self._every_s = devices, every_s
        self._loop = asyncio.get_running_loop()
        self._loads: asyncio.Queue[Load] = asyncio.Queue()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="lookout", daemon=True)

    def __enter__(self) -> Self:
        try:
            self._thread.start()
        except RuntimeError as error:
            log.warning("how the machine fares is not looked at: %s", error)
        return self

    def __exit__(self, *reason: object) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(JOIN_S)

    async def next(self) -> Load:
        return await self._loads.get()

    def _work(self) -> None:
        meter = of_this_machine(self._devices)
        pause_s = min(FIRST_S, self._every_s)
        while not self._over.wait(pause_s):
            load, pause_s = meter.look(), self._every_s
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody asks any more
                self._loop.call_soon_threadsafe(self._loads.put_nowait, load)
