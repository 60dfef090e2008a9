"""The addresses behind a name, in a time that has an end.

Where no name server is to be reached, a system asks for ten seconds before it says that it does not
know a name. An engine knows the names of containers at once, and those of containers that are gone
it passes on to that server.
"""

from __future__ import annotations

import queue
import socket
import threading

KNOWN_S = 3.0  # an engine that is busy with other things, too


def need(host: str, port: int) -> None:
    """Raises socket.gaierror where nobody knows the name, or says so in time."""
    told: queue.SimpleQueue[OSError | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            told.put(error)
        else:
            told.put(None)

    threading.Thread(target=ask, name="asks for a name", daemon=True).start()
    try:
        error = told.get(timeout=KNOWN_S)
    except queue.Empty:
        error = socket.gaierror(socket.EAI_AGAIN, f"where {host} is, nobody says")
    if error is not None:
        raise error
