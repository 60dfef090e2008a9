"""Whether the others of a pool reach a machine where it says that it answers. Decides only."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

NO_MESH = "it is not in the mesh (no nebula, or no right to a network device)"
HOST, MESH, AUTO = "host", "mesh", "auto"  # by which machines of a run speak with each other


@dataclass(frozen=True, slots=True)
class Ways:
    """How a machine can be reached: where its next agent answers, by network; "" for not at all.
    `hindrance` is why others do not reach its door of the host's network."""

    host: str
    mesh: str
    hindrance: str

    def why_not(self, network: str) -> str:
        """Why it can have no agent of a run that is on `network`."""
        match network:
            case "host":
                return self.hindrance
            case "mesh":
                return "" if self.mesh else NO_MESH
        return "" if self.mesh else self.hindrance

    def door(self, network: str) -> str:
        return self.mesh if network == MESH else self.host


def chosen(policy: str, machines: Sequence[Ways]) -> str:
    """The network of a run: what the pool says, else the one that most machines are on. Directly
    where all are reached so: it costs nothing."""
    if policy != AUTO:
        return policy
    direct, meshed = (sum(not m.why_not(n) for m in machines) for n in (HOST, MESH))
    return MESH if meshed > direct else HOST


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
