"""A private network of a pool's machines, through NAT: nebula's, which is encrypted end to end.

The server's machine signs who joins, and its own nebula tells the others of each other, and passes
on between those that do not reach each other directly. A machine's key never leaves it. nebula
needs the right to make a network device; without it, or without nebula, there is no mesh there.
Where UDP does not come through to the server's machine, that is reached by a detour (`detour`), for
as long as it is so.
"""

from __future__ import annotations

import ipaddress
import logging
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from evener.pool import beside, nebula
from evener.pool.beside import Neighbour
from evener.pool.detour import Detour, Opened, udp_answers
from evener.pool.nebula import CONFIG_NAME, Nebula
from evener.probe import interface_of
from evener.rundir import layout
from evener.wire.frames import split_address

log = logging.getLogger("evener.pool")

DETOUR_NAME = "nebula-detour.json"
MEMBER_HOURS = 24 * 30  # of a certificate, which is renewed after half of it
PRIVATE = 0o600
FIRST = 1  # the number of the server's machine
REACH_S = 3.0
_NET_ADMIN = 12  # the number of CAP_NET_ADMIN
DETOUR_S = 3.0  # without an answer from the first, until the detour is taken
LOOK_S = 5.0  # between two looks whether UDP comes through again
SEEN, SEEN_MOST = 3, 48  # looks in a row that it does, until it is believed; doubled each time


def missing() -> str:
    """Why there can be no mesh on this machine, as far as one can tell without making it."""
    found = [tool for tool in (nebula.PROGRAM, nebula.SIGNER) if shutil.which(tool) is None]
    if found:
        return f"{' and '.join(found)} not installed"
    if sys.platform == "linux" and not is_net_admin(Path("/proc/self/status").read_text()):
        return "no right to make a network device (CAP_NET_ADMIN)"
    return ""


def is_net_admin(status: str) -> bool:
    """By what the kernel says of a process."""
    [effective] = [line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")]
    return bool(int(effective, 16) >> _NET_ADMIN & 1)


def address(pin: str, number: int) -> str:
    """Of the machine with that number, in a range that no other network of it should have. Two
    pools of one machine are told apart by their certificates."""
    return f"100.{64 + int(pin[:2], 16) % 64}.{number // 256}.{number % 256}"


def is_in(host: str) -> bool:
    """Whether that is an address of a mesh."""
    return ipaddress.ip_address(host) in beside.RANGE


def public_key(folder: Path) -> str:
    """Of this machine, made if there is none yet. Empty where there can be no mesh."""
    if (neighbour := beside.here()) is not None:
        return neighbour.public_key()
    if missing():
        return ""
    try:
        return nebula.make_key(folder).read_text()
    except OSError:
        return ""


def settle(folder: Path, told: Mapping[str, Any], hosts: Sequence[str]) -> None:
    """Write down what the server has answered; `hosts` are those at which it is reached."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    layout.write_atomic(folder / nebula.CA_NAME, str(told["ca"]))
    layout.write_atomic(folder / nebula.CERTIFICATE_NAME, str(told["certificate"]))
    own, first, port = str(told["address"]), str(told["first"]), int(told["port"])
    found = nebula.config(folder, own, first, port, hosts)
    found["pki"]["blocklist"] = list(told["blocked"])
    layout.write_json(folder / CONFIG_NAME, found, PRIVATE)


def settled(folder: Path) -> bool:
    """Whether this machine is to be in a mesh."""
    return (folder / CONFIG_NAME).is_file()


class Mesh:
    """nebula on this machine. It ends with the thread that tends it, unless it is beside this
    container. `opened` opens the detour."""

    def __init__(self, folder: Path, opened: Opened) -> None:
        self._folder, self._opened = folder, opened
        self._beside = beside.here()
        self._nebula: Nebula | Neighbour = self._beside or Nebula(folder / nebula.LOG_NAME)
        self._detour: Detour | None = None
        self._look_at, self._seen, self._wanted = 0.0, 0, SEEN
        self._own = ""
        self._reached = False
        self._lock = threading.Lock()  # of the file

    def tend(self) -> None:
        """Start it where there is a mesh and it does not run."""
        if not (self._nebula.waits and settled(self._folder)):
            return
        if self._beside is None and missing():
            return
        self._own = nebula.address_in(self._folder).partition("/")[0]
        if self._nebula.tend(self._read):
            self._reached = False

    def move(self, hosts: Sequence[str]) -> None:
        """The first is reached at these from now on."""

        def moved(found: dict[str, Any]) -> None:
            for first, places in found["static_host_map"].items():
                port = places[0].rpartition(":")[2]
                found["static_host_map"][first] = [f"{host}:{port}" for host in hosts]

        if self._change(moved):
            self._nebula.restart()

    def is_due(self) -> bool:
        """Whether it is time for a new certificate."""
        file = self._folder / nebula.CERTIFICATE_NAME
        if not self._nebula.runs or not file.is_file():
            return False
        return time.time() - file.stat().st_mtime > MEMBER_HOURS * 3600 / 2

    def renew(self, told: Mapping[str, Any], hosts: Sequence[str]) -> None:
        """The server has signed another."""
        with self._lock:
            settle(self._folder, told, hosts)
        self._reload()

    def block(self, fingerprints: list[str]) -> None:
        """Who has these certificates is let in no more, and put out."""

        def blocked(found: dict[str, Any]) -> None:
            found["pki"]["blocklist"] = fingerprints

        if self._change(blocked):
            self._reload()

    def _change(self, how: Callable[[dict[str, Any]], None]) -> bool:
        """What nebula is told; whether that is something new."""
        file = self._folder / CONFIG_NAME
        with self._lock:
            if not file.is_file():
                return False
            before, found = layout.read_json(file), layout.read_json(file)
            how(found)
            if found != before:
                layout.write_json(file, found, PRIVATE)
            return bool(found != before)

    @property
    def host(self) -> str:
        """This machine's address in the mesh, where it has it and reaches the first by it."""
        runs = self._nebula.runs and self._reached
        return self._own if runs and interface_of(self._own) else ""

    def look(self) -> None:
        """Whether the first answers through the mesh, and by which way it does. Takes its time; for
        a thread of its own."""
        file = self._folder / CONFIG_NAME
        if not self._nebula.started_at or not file.is_file():
            return
        known = layout.read_json(file)["static_host_map"]
        self._reached = all(map(_answers, known))
        places = [split_address(place) for each in known.values() for place in each]
        if self._detour is None:
            late = time.monotonic() - self._nebula.started_at > DETOUR_S
            if self._nebula.runs and late and not self._reached and not udp_answers(places):
                self._turn_off()
        elif time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_S
            self._seen = self._seen + 1 if udp_answers(places) else 0
            if self._seen >= self._wanted:
                self._turn_back()

    def _turn_off(self) -> None:
        try:
            first = self._opened()
        except OSError:
            return  # it would not help
        log.info("UDP does not come through to the pool: its mesh goes by TCP, and is slower")
        detour = Detour(first, self._opened)
        try:
            self._write(detour)
        except BaseException:
            detour.close()
            raise
        self._detour, self._seen = detour, 0
        self._nebula.restart()

    def _turn_back(self) -> None:
        """Whose UDP comes and goes is believed later and later: each turn cuts it off briefly."""
        log.info("UDP comes through to the pool again")
        over, self._detour = self._detour, None
        self._wanted = min(2 * self._wanted, SEEN_MOST)
        self._nebula.restart()
        if over is not None:
            over.close()

    @property
    def _read(self) -> Path:
        """What nebula is to read."""
        return self._folder / (DETOUR_NAME if self._detour else CONFIG_NAME)

    def _reload(self) -> None:
        if self._detour is not None:
            self._write(self._detour)
        self._nebula.reload()

    def _write(self, detour: Detour) -> None:
        told = layout.read_json(self._folder / CONFIG_NAME)
        found = nebula.detoured(told, detour.port, detour.own_port)
        layout.write_json(self._folder / DETOUR_NAME, found, PRIVATE)

    def close(self) -> None:
        if self._detour is not None:
            self._detour.close()
        self._nebula.close()

    @property
    def is_elsewhere(self) -> bool:
        """Whether what has it for us is no longer where we are."""
        return self._beside is not None and self._beside.is_elsewhere

    def leave(self) -> None:
        """Who shares our network has no mesh any more either."""
        if self._beside is not None:
            self._beside.part()


def _answers(first: str) -> bool:
    """A refusal is an answer as well."""
    try:
        socket.create_connection((first, nebula.NOBODY_PORT), REACH_S).close()
    except ConnectionRefusedError:
        pass
    except OSError:
        return False
    return True
