"""How large a packet may be on its way to other machines of a Swarm.

Docker makes an overlay for ways that let 1500 bytes pass. Where less does (a VPN, some clouds),
small messages arrive and gradients hang. So a packet that may not be cut up goes to each machine
before a run is planned: a router that cannot pass it on says so, and the kernel remembers.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from collections.abc import Iterable

PORT = 4789  # of overlays, which must be open anyway; what is no overlay's packet is dropped there
PAYLOAD_BYTES = 1472  # a packet of 1500
ANSWER_S = 0.3  # until a router has said no
# As Linux numbers them; Python does not name them.
_MTU_DISCOVER, _NEVER_CUT, _MTU = 10, 2, 14


def passing(own: str, others: Iterable[str]) -> dict[str, int]:
    """By address, those of which it is known. None is where we are not on the engine's machine,
    whose address is `own`."""
    with contextlib.ExitStack() as stack:
        ways = {}
        for other in others if sys.platform == "linux" else ():
            with contextlib.suppress(OSError):
                ways[other] = stack.enter_context(_tried(own, other))
        if ways:
            time.sleep(ANSWER_S)
        return {other: way.getsockopt(socket.IPPROTO_IP, _MTU) for other, way in ways.items()}


def _tried(own: str, other: str) -> socket.socket:
    way = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        way.setsockopt(socket.IPPROTO_IP, _MTU_DISCOVER, _NEVER_CUT)
        way.bind((own, 0))
        way.connect((other, PORT))
        with contextlib.suppress(OSError):  # too large for our own cable, or nobody listens
            way.send(bytes(PAYLOAD_BYTES))
    except BaseException:
        way.close()
        raise
    return way
