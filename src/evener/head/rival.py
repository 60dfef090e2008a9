"""Two heads of one name: another machine has adopted the run while this one was off.

Where a run's network has a name for its head, whoever answers to it is asked which folder is the
run's home. One that was adopted later counts; the other one ends, so that agents find that alone.
"""

from __future__ import annotations

import contextlib
import logging
import socket

from evener.rundir import freight
from evener.wire import frames
from evener.wire.porter import Porter

log = logging.getLogger("evener.head")

LOOK_S = 5.0


def supersedes(alias: str, secret: str, own: str) -> bool:
    """Whether somebody at that name has a later home of the run than `own`."""
    host, port = frames.split_address(alias)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return any(
        freight.adoptions(home) > freight.adoptions(own)
        for address in {str(each[4][0]) for each in found}
        if (home := _home(frames.join_address(address, port), secret))
    )


def _home(address: str, secret: str) -> str:
    with contextlib.suppress(OSError), contextlib.closing(Porter(address, secret)) as porter:
        return porter.home()
    return ""
