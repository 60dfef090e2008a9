"""By which addresses a pool's machine is reached, and where a pool is that no longer answers."""

from __future__ import annotations

from evener import contract, probe
from evener.pool import house, lan, mesh
from evener.wire.calls import Server

MOST = 3
_OF_CONTAINERS = ("172.17.", "172.18.", "169.254.")


def addresses(bind: str, pin: str) -> tuple[str, ...]:
    """That of the way out first, those of container engines only where there are no others."""
    if bind:
        return (bind,)
    own = mesh.address(pin, mesh.FIRST)
    known = [address for address in probe.addresses() if ":" not in address and address != own]
    ranked = sorted(known, key=lambda a: (a != _way_out(), a.startswith(_OF_CONTAINERS)))
    chosen = [a for a in ranked if not a.startswith(_OF_CONTAINERS)] or ranked
    return tuple(chosen[:MOST]) or (_way_out() or contract.LOOPBACK,)


def elsewhere(pin: str) -> tuple[Server, ...]:
    """Where the pool with that certificate may be as well: at this machine's own addresses, if it
    is the pool's, else where somebody on the LAN says. Takes its time."""
    pool = house.read_pool()
    if pool is not None and pool.pin.startswith(pin):
        return tuple(Server(a, pool.port, pin=pin) for a in addresses(pool.bind, pool.pin))
    return tuple(Server(host, port, pin=pin) for host, port in lan.find(pin))


def _way_out() -> str:
    """Nothing is sent: the route is looked up."""
    try:
        return probe.address_facing("192.0.2.1", 9)
    except OSError:
        return ""
