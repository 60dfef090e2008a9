"""Whether the others of a pool reach a machine where it says that it answers. Decides only."""

from __future__ import annotations

import ipaddress


def hindrance(door: str, seen: str, others: tuple[str, ...]) -> str:
    """Why they do not; empty where nothing speaks against it.

    `door` is where the machine's next agent answers, `seen` the address that its question came
    from, `others` those by which the server's machine is reached.
    """
    own = _host(door)
    if not own:
        return "it has no way to the pool's machine"
    if _is_loopback(own) and not any(map(_is_loopback, others)):
        return "it has come through a tunnel, by which nobody reaches it"
    if own != seen:
        return f"it is behind NAT: it calls itself {own}, and comes from {seen}"
    return ""


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host).is_loopback
