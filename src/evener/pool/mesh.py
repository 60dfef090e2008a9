"""A private network of a pool's machines, through NAT: nebula's, which is encrypted end to end.

The server's machine signs who joins, and its own nebula tells the others of each other, and passes
on between those that do not reach each other directly. A machine's key never leaves it. nebula
needs the right to make a network device; without it, or without nebula, there is no mesh there.
"""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evener import contract
from evener.probe import interface_of
from evener.rundir import layout

NEBULA, SIGNER = "nebula", "nebula-cert"
CONFIG_NAME, LOG_NAME, CA_NAME = "nebula.json", "nebula.log", "ca.crt"
CERTIFICATE_NAME, KEY_NAME, PUBLIC_NAME = "host.crt", "host.key", "host.pub"
CA_HOURS, MEMBER_HOURS = 24 * 3650, 24 * 30  # a member's is renewed after half of it
MTU = 1300
PRIVATE = 0o600
_RANGE = ipaddress.ip_network("100.64.0.0/10")
FIRST = 1  # the number of the server's machine
TOOL_S = 10.0
REACH_S = 3.0
_PORT = 9  # where nobody answers
AGAIN_S = 5.0  # until nebula is started again, where it has ended


def missing() -> str:
    """Why there can be no mesh on this machine, as far as one can tell without making it."""
    found = [tool for tool in (NEBULA, SIGNER) if shutil.which(tool) is None]
    return f"{' and '.join(found)} not installed" if found else ""


def address(pin: str, number: int) -> str:
    """Of the machine with that number, in a range that no other network of it should have. Two
    pools of one machine are told apart by their certificates."""
    return f"100.{64 + int(pin[:2], 16) % 64}.{number // 256}.{number % 256}"


def is_in(host: str) -> bool:
    """Whether that is an address of a mesh."""
    return ipaddress.ip_address(host) in _RANGE


@dataclass(frozen=True, slots=True)
class Authority:
    """Who signs, on the server's machine. Its files are in `folder`."""

    folder: Path
    pin: str
    port: int

    def create(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not (self.folder / CA_NAME).is_file():
            out = ("-out-crt", CA_NAME, "-out-key", "ca.key")
            _call(self.folder, SIGNER, "ca", "-name", "evener", "-duration", f"{CA_HOURS}h", *out)

    def admit(self, name: str, number: int, public: str) -> dict[str, Any]:
        """What a machine with that public key needs."""
        own, out = self.folder / f"{number}.pub", self.folder / f"{number}.crt"
        layout.write_atomic(own, public)
        out.unlink(missing_ok=True)
        where = f"{address(self.pin, number)}/16"
        _call(
            *(self.folder, SIGNER, "sign", "-ca-crt", CA_NAME, "-ca-key", "ca.key"),
            *("-in-pub", own.name, "-out-crt", out.name, "-name", f"{number}-{name}"),
            *("-ip", where, "-duration", f"{MEMBER_HOURS}h"),
        )
        return {
            "ca": (self.folder / CA_NAME).read_text(),
            "certificate": out.read_text(),
            "fingerprint": _printed(self.folder, out.name)["fingerprint"],
            "address": where.partition("/")[0],
            "first": address(self.pin, FIRST),
            "port": self.port,
        }


def public_key(folder: Path) -> str:
    """Of this machine, made if there is none yet. Empty where there can be no mesh."""
    if missing():
        return ""
    file = folder / PUBLIC_NAME
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            _call(folder, SIGNER, "keygen", "-out-key", KEY_NAME, "-out-pub", PUBLIC_NAME)
        except OSError:
            return ""
    return file.read_text()


def settle(folder: Path, told: Mapping[str, Any], hosts: Sequence[str]) -> None:
    """Write down what the server has answered; `hosts` are those at which it is reached."""
    layout.write_atomic(folder / CA_NAME, str(told["ca"]))
    layout.write_atomic(folder / CERTIFICATE_NAME, str(told["certificate"]))
    found = config(folder, str(told["address"]), str(told["first"]), int(told["port"]), hosts)
    found["pki"]["blocklist"] = list(told["blocked"])
    layout.write_json(folder / CONFIG_NAME, found, PRIVATE)


def settled(folder: Path) -> bool:
    """Whether this machine is to be in a mesh."""
    return (folder / CONFIG_NAME).is_file()


def config(folder: Path, own: str, first: str, port: int, hosts: Sequence[str]) -> dict[str, Any]:
    """nebula's, which reads JSON as YAML."""
    leads = own == first
    others = [] if leads else [first]
    everything = [{"port": "any", "proto": "any", "host": "any"}]
    device = f"ev{int(ipaddress.ip_address(own)) & 0xFFFFFF:06x}"
    return {
        "pki": {
            "ca": str(folder / CA_NAME),
            "cert": str(folder / CERTIFICATE_NAME),
            "key": str(folder / KEY_NAME),
            "disconnect_invalid": True,
        },
        "static_host_map": {} if leads else {first: [f"{host}:{port}" for host in hosts]},
        "lighthouse": {"am_lighthouse": leads, "interval": 10, "hosts": others},
        "listen": {"host": contract.EVERYWHERE, "port": port if leads else 0},
        "punchy": {"punch": True, "respond": True},
        "relay": {"am_relay": leads, "use_relays": True, "relays": others},
        "tun": {"dev": device, "mtu": MTU},
        "logging": {"level": "warning"},
        "firewall": {"outbound": everything, "inbound": everything},
    }


class Mesh:
    """nebula on this machine. It ends with the thread that tends it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._not_before = 0.0
        self._own = ""
        self._reached = False
        self._started_at = 0.0
        self._lock = threading.Lock()  # of the file

    def tend(self) -> None:
        """Start it where there is a mesh and it does not run."""
        file = self._folder / CONFIG_NAME
        if self._process is not None and self._process.poll() is None:
            return
        self._process = None
        if time.monotonic() < self._not_before or missing() or not file.is_file():
            return
        self._not_before = time.monotonic() + AGAIN_S
        self._own, self._reached = _address_in(self._folder), False
        self._started_at = time.monotonic()
        with (self._folder / LOG_NAME).open("ab") as log:
            self._process = subprocess.Popen(
                _command(file), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def move(self, hosts: Sequence[str]) -> None:
        """The first is reached at these from now on."""

        def moved(found: dict[str, Any]) -> None:
            for first, places in found["static_host_map"].items():
                port = places[0].rpartition(":")[2]
                found["static_host_map"][first] = [f"{host}:{port}" for host in hosts]

        if self._change(moved):
            self._restart()

    def is_due(self) -> bool:
        """Whether it is time for a new certificate."""
        file = self._folder / CERTIFICATE_NAME
        if self._process is None or not file.is_file():
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
        runs = self._process is not None and self._process.poll() is None
        return self._own if runs and self._reached and interface_of(self._own) else ""

    def look(self) -> None:
        """Whether the first answers through the mesh: UDP may be kept out on the way. A refusal is
        an answer as well. Takes its time; for a thread of its own."""
        file = self._folder / CONFIG_NAME
        if self._process is None or not file.is_file():
            return
        known = layout.read_json(file)["static_host_map"]
        try:
            for first in known:
                socket.create_connection((first, _PORT), REACH_S).close()
        except ConnectionRefusedError:
            pass
        except OSError:
            self._reached = False
            return
        self._reached = True

    def _reload(self) -> None:
        """nebula reads its file again, and those who stay in the mesh notice nothing."""
        fresh = time.monotonic() - self._started_at < AGAIN_S
        if self._process is None or fresh or sys.platform == "win32":
            self._restart()  # it may not have read anything yet, or knows no such signal
        else:
            self._process.send_signal(signal.SIGHUP)

    def _restart(self) -> None:
        """It is started again by who tends it."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._not_before = 0.0

    def close(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(TOOL_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def become(file: str) -> None:
    """This process is nebula from now on, which ends with whoever has started us."""
    from evener.lifeline import die_with_parent

    die_with_parent()
    os.execvp(NEBULA, [NEBULA, "-config", file])


def _command(file: Path) -> tuple[str, ...]:
    if sys.platform == "linux":
        return (sys.executable, "-P", "-m", "evener.pool", "mesh", str(file))
    return (NEBULA, "-config", str(file))


def _address_in(folder: Path) -> str:
    return str(_printed(folder, CERTIFICATE_NAME)["details"]["ips"][0]).partition("/")[0]


def _printed(folder: Path, certificate: str) -> dict[str, Any]:
    """What it says."""
    return dict(json.loads(_call(folder, SIGNER, "print", "-json", "-path", certificate)))


def _call(folder: Path, *command: str) -> str:
    """Raises OSError where it fails."""
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=TOOL_S, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{command[0]} does not end") from error
    if done.returncode != 0:
        raise OSError(f"{command[0]} {command[1]}: {(done.stderr or done.stdout).strip()[:200]}")
    return done.stdout
