"""The signals that an agent hears in its loop.

SIGINT (Ctrl-C, `evener stop`): the run stops. SIGTERM, from a system that shuts down: this agent
leaves the run. SIGPWR, from an engine that stops its container: it leaves and will be back.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator

from evener import contract

LEAVE_SIGNAL = "SIGTERM"
_AWAY = getattr(signal, contract.AWAY_SIGNAL, None)  # where there are containers


@contextlib.contextmanager
def hearing_signals(on_signal: Callable[[str], None]) -> Iterator[None]:
    """`on_signal` is called in the loop with the signal's name; afterwards all is as before."""
    loop = asyncio.get_running_loop()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.platform == "win32":
        numbers.append(signal.SIGBREAK)
    if _AWAY is not None:
        numbers.append(_AWAY)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        _hear(loop, number, on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            if sys.platform != "win32":
                loop.remove_signal_handler(number)
            signal.signal(number, handler)


def _hear(
    loop: asyncio.AbstractEventLoop, number: signal.Signals, on_signal: Callable[[str], None]
) -> None:
    if sys.platform == "win32":  # there the loop itself hears none

        def heard(*_: object) -> None:
            loop.call_soon_threadsafe(on_signal, number.name)

        signal.signal(number, heard)
    else:
        loop.add_signal_handler(number, on_signal, number.name)
