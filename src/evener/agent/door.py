"""Where an agent answers: on a socket it inherited, or at the address that faces the head."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Sequence

from evener.agent.peers import addresses
from evener.contract import AgentEnv
from evener.errors import StartFailed
from evener.probe import address_facing
from evener.wire import calls
from evener.wire.frames import join_address

KNOWN_S = 10.0  # for the head's name to be known, where machines start at the same time
_POLL_S = 0.05


async def door(env: AgentEnv) -> str | socket.socket:
    """Never all addresses: ranks and Gloo need the one by which other machines reach us."""
    if env.fd >= 0:
        return socket.socket(fileno=env.fd)
    if not env.listen.startswith(":"):
        return env.listen
    found = await asyncio.to_thread(_facing, env.head, [*addresses(env.peers).values()])
    return join_address(found, int(env.listen[1:]))


def _facing(head: str, others: Sequence[str]) -> str:
    """The head's machine may be gone for good: then what faces another one of the run."""
    deadline = time.monotonic() + KNOWN_S
    while True:
        try:
            return _towards(head)
        except OSError as error:
            if time.monotonic() > deadline:
                for other in others:
                    with contextlib.suppress(OSError):
                        return _towards(other)
                raise StartFailed(
                    f"there is no way to the head: {error}",
                    where=head,
                    fix="the head's host must have an address that this machine can reach",
                ) from error
            time.sleep(_POLL_S)


def _towards(address: str) -> str:
    there = calls.parse(address)
    return address_facing(there.host, there.port)
