"""Where a run's head answers on this machine: at the port a person knows, or the next free one."""

from __future__ import annotations

import contextlib
import socket

from evener.contract import LOOPBACK
from evener.wire.frames import split_address

TRIED = 20  # ports, from the wanted one on


def opened(wanted: int) -> socket.socket:
    """A listening socket of the loopback interface: on `wanted` or one of the ports after it, and
    on any that is free where they are all taken, or `wanted` is 0."""
    for port in range(wanted, min(wanted + TRIED, 2**16)) if wanted else ():
        with contextlib.suppress(OSError):
            return socket.create_server((LOOPBACK, port), backlog=128)
    return socket.create_server((LOOPBACK, 0), backlog=128)


def exactly(address: str) -> socket.socket:
    """The same at `address` and nowhere else. Raises OSError where it is taken."""
    return socket.create_server(split_address(address), backlog=128)


def free(wanted: int) -> int:
    """The port that `opened` would take now. Somebody else may be faster."""
    with opened(wanted) as door:
        return int(door.getsockname()[1])
