"""Networks as a pool meets them: machines at one switch, and machines behind routers with NAT.

Each is a network namespace of its own. It needs root on Linux, and a kernel with tun devices; on
Debian it installs what is missing.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.engine import HOLDER, NoLab, need
from tests.lab.swarm import _in_network, _inside, _switch

NET = "10.79.0"
HEAD = f"{NET}.1"
_PROGRAMS = ("nebula", "nebula-cert", "ip", "iptables", "unshare", "nsenter")
_PACKAGES = ("nebula", "iptables", "iproute2")
_NAT = ("iptables", "--wait", "--table", "nat", "--append", "POSTROUTING")


@dataclass(frozen=True, slots=True)
class Network:
    """Of one machine: that of a process that does nothing."""

    pid: int

    @property
    def inside(self) -> tuple[str, ...]:
        """Before a command: it runs there."""
        return tuple(_inside(self.pid))

    def do(self, *command: str) -> None:
        _in_network(self.pid, *command)


@dataclass(frozen=True, slots=True)
class Networks:
    """`behind` are machines behind a router each, which the others reach by no way."""

    switch: Network
    head: Network
    stranger: Network
    behind: tuple[Network, ...]
    routers: tuple[Network, ...]

    def udp(self, number: int, *, passes: bool) -> None:
        """Whether the router of that machine lets UDP through."""
        action = "--delete" if passes else "--insert"
        rule = ("FORWARD", "--protocol", "udp", "--jump", "DROP")
        self.routers[number].do("iptables", "--wait", action, *rule)

    def limit(self, mbit: int) -> None:
        """So fast is every cable to the switch from now on, in both directions."""
        shape = ("tbf", "rate", f"{mbit}mbit", "burst", "64kb", "latency", "20ms")
        numbered = {1: self.head, 9: self.stranger, **dict(enumerate(self.routers, 100))}
        for number, place in numbered.items():
            place.do("tc", "qdisc", "replace", "dev", "eth0", "root", *shape)
            self.switch.do("tc", "qdisc", "replace", "dev", f"port{number}", "root", *shape)


@contextlib.contextmanager
def networks(behind: int, also: Sequence[int] = ()) -> Iterator[Networks]:
    """`also` are processes whose networks are behind routers as well, the last of them. Raises
    NoLab where they cannot be made."""
    need(_PROGRAMS, _PACKAGES)
    if not Path("/dev/net/tun").exists():
        raise NoLab("this system has no tun devices: /dev/net/tun is not there")
    with contextlib.ExitStack() as stack:
        switch = Network(stack.enter_context(_switch()))

        def one() -> Network:
            return Network(stack.enter_context(_held()))

        def at_switch(number: int) -> Network:
            made, port = one(), f"port{number}"
            _cable(switch, port, made, "eth0", f"{NET}.{number}")
            switch.do("ip", "link", "set", port, "master", "switch", "up")
            return made

        head, stranger = at_switch(1), at_switch(9)
        inside = [*(one() for _ in range(behind)), *map(Network, also)]
        routers = tuple(at_switch(100 + n) for n in range(len(inside)))
        both = zip(inside, routers, strict=True)
        machines = tuple(_behind(each, router, n) for n, (each, router) in enumerate(both))
        yield Networks(switch, head, stranger, machines, routers)


def _behind(machine: Network, router: Network, number: int) -> Network:
    net = f"192.168.{number + 1}"
    _cable(router, "inside", machine, "lab0", f"{net}.2")
    router.do("ip", "address", "add", f"{net}.1/24", "dev", "inside")
    router.do("ip", "link", "set", "inside", "up")
    router.do("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    router.do(*_NAT, "--out-interface", "eth0", "--jump", "MASQUERADE")
    machine.do("ip", "route", "add", "default", "via", f"{net}.1")
    return machine


def _cable(near: Network, near_end: str, far: Network, far_end: str, address: str) -> None:
    """Between two, with an address at its far end."""
    far_side = ("peer", "name", far_end, "netns", str(far.pid))
    near.do("ip", "link", "add", near_end, "type", "veth", *far_side)
    far.do("ip", "address", "add", f"{address}/24", "dev", far_end)
    far.do("ip", "link", "set", far_end, "up")


@contextlib.contextmanager
def _held() -> Iterator[int]:
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", f"ip link set lo up; echo; exec {HOLDER} >/dev/null"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True,
    ) as holder:  # fmt: skip
        try:
            assert holder.stdout is not None
            holder.stdout.readline()
            yield holder.pid
        finally:
            holder.kill()
