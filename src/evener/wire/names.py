"""The addresses behind a name, in a time that has an end.

Where no name server is to be reached, a system asks for ten seconds before it says that it does
not know a name. An engine knows the names of containers at once, and those of containers that are
gone it passes on to that server. So it is asked by threads that nobody waits for at the end, one
for each name: a loop has few threads of its own, and does not end before the last of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import socket
import threading
from collections.abc import Callable

KNOWN_S = 3.0  # an engine that is busy with other things, too

Found = list[str] | OSError
_lock = threading.Lock()
_asked: dict[tuple[str, int], list[Callable[[Found], None]]] = {}  # who waits for the answer


def need(host: str, port: int) -> None:
    """Raises socket.gaierror where nobody knows the name, or says so in time."""
    told: queue.SimpleQueue[Found] = queue.SimpleQueue()
    _ask(host, port, told.put)
    try:
        found = told.get(timeout=KNOWN_S)
    except queue.Empty:
        found = socket.gaierror(socket.EAI_AGAIN, f"where {host} is, nobody says")
    if isinstance(found, OSError):
        raise found


async def addresses(host: str, port: int) -> list[str]:
    """In the order in which they are to be tried. Raises socket.gaierror, in the end."""
    with contextlib.suppress(socket.gaierror):
        return _look_up(host, port, socket.AI_NUMERICHOST)
    loop = asyncio.get_running_loop()
    told: asyncio.Future[Found] = loop.create_future()

    def hear(found: Found) -> None:
        if not told.done():
            told.set_result(found)

    def tell(found: Found) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(hear, found)

    _ask(host, port, tell)
    found = await told
    if isinstance(found, OSError):
        raise found
    return found


def _ask(host: str, port: int, tell: Callable[[Found], None]) -> None:
    with _lock:
        waiting = _asked.setdefault((host, port), [])
        waiting.append(tell)
        if len(waiting) > 1:
            return
    threading.Thread(target=_answer, args=(host, port), name="asks for a name", daemon=True).start()


def _answer(host: str, port: int) -> None:
    found: Found
    try:
        found = _look_up(host, port)
    except OSError as error:
        found = error
    with _lock:
        waiting = _asked.pop((host, port))
    for tell in waiting:
        tell(found)


def _look_up(host: str, port: int, flags: int = 0) -> list[str]:
    try:
        told = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, f"{host[:64]} can be no name") from error
    return [str(address[0]) for *_, address in told]
