"""Which network interface has which address, as the C library tells (`getifaddrs`)."""

from __future__ import annotations

import ctypes
import ipaddress
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address


@dataclass(frozen=True, slots=True)
class Interface:
    """One address of one interface."""

    name: str
    address: IPv4Address | IPv6Address


class _IfAddrs(ctypes.Structure):
    """`struct ifaddrs`; its beginning is the same on Linux, macOS and the BSDs."""


_IfAddrs._fields_ = [
    ("next", ctypes.POINTER(_IfAddrs)),
    ("name", ctypes.c_char_p),
    ("flags", ctypes.c_uint),
    ("address", ctypes.c_void_p),
]


def interfaces() -> tuple[Interface, ...]:
    """Every address of this machine, in the system's order; none on Windows."""
    if sys.platform == "win32":
        return ()
    libc = ctypes.CDLL(None, use_errno=True)
    first = ctypes.POINTER(_IfAddrs)()
    if libc.getifaddrs(ctypes.byref(first)) != 0:
        raise OSError(ctypes.get_errno(), "getifaddrs failed")
    try:
        return tuple(_walk(first))
    finally:
        libc.freeifaddrs(first)


def address_facing(host: str, port: int) -> str:
    """The address of ours from which `host` is reached: the route is looked up, nothing is sent.

    Raises OSError while `host` has no address, or none that can be reached.
    """
    family, kind, _, _, there = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as sock:
        sock.connect(there)
        return str(sock.getsockname()[0])


def interface_of(address: str) -> str | None:
    """The interface that owns `address`; None where none does or the system cannot tell.

    Gloo wants an exact name. Where we have none the variable must stay unset: Gloo takes neither
    an address nor a pattern.
    """
    try:
        wanted = ipaddress.ip_address(address)
        return next((i.name for i in interfaces() if i.address == wanted), None)
    except (ValueError, OSError):
        return None


def _walk(pointer: ctypes._Pointer[_IfAddrs]) -> Iterator[Interface]:
    while pointer:
        entry = pointer.contents
        address = _address(entry.address) if entry.address else None
        if address is not None:
            yield Interface(entry.name.decode(errors="replace"), address)
        pointer = entry.next


def _address(sockaddr: int) -> IPv4Address | IPv6Address | None:
    """The address in a `struct sockaddr`; its family is 16 bits, or the second 8 of them."""
    head = ctypes.string_at(sockaddr, 2)
    family = int.from_bytes(head, sys.byteorder) if sys.platform == "linux" else head[1]
    if family == socket.AF_INET:
        return IPv4Address(ctypes.string_at(sockaddr + 4, 4))
    if family == socket.AF_INET6:
        return IPv6Address(ctypes.string_at(sockaddr + 8, 16))
    return None
