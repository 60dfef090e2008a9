"""A private network of a pool's machines, through NAT: nebula's, which is encrypted end to end.

The server's machine signs who joins, and its own nebula tells the others of each other, and passes
on between those that do not reach each other directly. A machine's key never leaves it. nebula
needs the right to make a network device; without it, or without nebula, there is no mesh there.
Where UDP does not come through to the server's machine, that is reached by a detour (`detour`), for
as long as it is so.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from evener import contract
from evener.pool.detour import Detour, Opened, udp_answers
from evener.probe import interface_of
from evener.rundir import layout
from evener.wire.frames import join_address, split_address

log = logging.getLogger("evener.pool")

NEBULA, SIGNER = "nebula", "nebula-cert"
CONFIG_NAME, LOG_NAME, CA_NAME = "nebula.json", "nebula.log", "ca.crt"
DETOUR_NAME = "nebula-detour.json"
CERTIFICATE_NAME, KEY_NAME, PUBLIC_NAME = "host.crt", "host.key", "host.pub"
MEMBER_HOURS = 24 * 30  # of a certificate, which is renewed after half of it
MTU = 1300
PRIVATE = 0o600
_RANGE = ipaddress.ip_network("100.64.0.0/10")
FIRST = 1  # the number of the server's machine
TOOL_S = 10.0
REACH_S = 3.0
_PORT = 9  # where nobody answers
_ALLOWED = "remote_allow_list"
_NET_ADMIN = 12  # the number of CAP_NET_ADMIN
AGAIN_S = 5.0  # until nebula is started again, where it has ended
DETOUR_S = 3.0  # without an answer from the first, until the detour is taken
LOOK_S = 5.0  # between two looks whether UDP comes through again
SEEN, SEEN_MOST = 3, 48  # looks in a row that it does, until it is believed; doubled each time


def missing() -> str:
    """Why there can be no mesh on this machine, as far as one can tell without making it."""
    found = [tool for tool in (NEBULA, SIGNER) if shutil.which(tool) is None]
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
    return ipaddress.ip_address(host) in _RANGE


def public_key(folder: Path) -> str:
    """Of this machine, made if there is none yet. Empty where there can be no mesh."""
    if missing():
        return ""
    file = folder / PUBLIC_NAME
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            call(folder, SIGNER, "keygen", "-out-key", KEY_NAME, "-out-pub", PUBLIC_NAME)
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
        "lighthouse": {"am_lighthouse": leads, "interval": 10, "hosts": others}
        | ({} if leads else {_ALLOWED: {"0.0.0.0/0": True, "127.0.0.0/8": False}}),
        "listen": {
            "host": contract.EVERYWHERE,
            "port": port if leads else 0,
            "send_recv_error": "always",  # which `udp_answers` asks for
        },
        "punchy": {"punch": True, "respond": True},
        "relay": {"am_relay": leads, "use_relays": True, "relays": others},
        "tun": {"dev": device, "mtu": MTU},
        "logging": {"level": "warning"},
        "firewall": {"outbound": everything, "inbound": everything},
    }


def detoured(told: Mapping[str, Any], port: int, own_port: int) -> dict[str, Any]:
    """The same, where the first is reached by a detour that begins at `port` of loopback: there
    others look for nobody, though the first tells them of such addresses."""
    lighthouse = {key: value for key, value in told["lighthouse"].items() if key != _ALLOWED}
    return {
        **told,
        "static_host_map": {
            first: [join_address(contract.LOOPBACK, port)] for first in told["static_host_map"]
        },
        "lighthouse": lighthouse,
        "listen": {**told["listen"], "port": own_port},
    }


class Mesh:
    """nebula on this machine. It ends with the thread that tends it. `opened` opens the detour."""

    def __init__(self, folder: Path, opened: Opened) -> None:
        self._folder, self._opened = folder, opened
        self._detour: Detour | None = None
        self._look_at, self._seen, self._wanted = 0.0, 0, SEEN
        self._process: subprocess.Popen[bytes] | None = None
        self._not_before = 0.0
        self._own = ""
        self._reached = False
        self._started_at = 0.0
        self._lock = threading.Lock()  # of the file

    def tend(self) -> None:
        """Start it where there is a mesh and it does not run."""
        file = self._folder / CONFIG_NAME
        if self._runs:
            return
        self._process = None
        if time.monotonic() < self._not_before or missing() or not file.is_file():
            return
        self._not_before = time.monotonic() + AGAIN_S
        self._own, self._reached = _address_in(self._folder), False
        self._started_at = time.monotonic()
        with (self._folder / LOG_NAME).open("ab") as words:
            self._process = subprocess.Popen(
                _command(self._read), stdin=subprocess.DEVNULL, stdout=words, stderr=words,
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
        return self._own if self._runs and self._reached and interface_of(self._own) else ""

    @property
    def _runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def look(self) -> None:
        """Whether the first answers through the mesh, and by which way it does. Takes its time; for
        a thread of its own."""
        file = self._folder / CONFIG_NAME
        if self._process is None or not file.is_file():
            return
        known = layout.read_json(file)["static_host_map"]
        self._reached = all(map(_answers, known))
        places = [split_address(place) for each in known.values() for place in each]
        if self._detour is None:
            late = self._runs and time.monotonic() - self._started_at > DETOUR_S
            if late and not self._reached and not udp_answers(places):
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
        self._restart()

    def _turn_back(self) -> None:
        """Whose UDP comes and goes is believed later and later: each turn cuts it off briefly."""
        log.info("UDP comes through to the pool again")
        over, self._detour = self._detour, None
        self._wanted = min(2 * self._wanted, SEEN_MOST)
        self._restart()
        if over is not None:
            over.close()

    @property
    def _read(self) -> Path:
        """What nebula is to read."""
        return self._folder / (DETOUR_NAME if self._detour else CONFIG_NAME)

    def _reload(self) -> None:
        """nebula reads its file again, and those who stay in the mesh notice nothing."""
        if self._detour is not None:
            self._write(self._detour)
        fresh = time.monotonic() - self._started_at < AGAIN_S
        if self._process is None or fresh or sys.platform == "win32":
            self._restart()  # it may not have read anything yet, or knows no such signal
        else:
            self._process.send_signal(signal.SIGHUP)

    def _write(self, detour: Detour) -> None:
        told = layout.read_json(self._folder / CONFIG_NAME)
        found = detoured(told, detour.port, detour.own_port)
        layout.write_json(self._folder / DETOUR_NAME, found, PRIVATE)

    def _restart(self) -> None:
        """It is started again by who tends it."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._not_before = 0.0

    def close(self) -> None:
        if self._detour is not None:
            self._detour.close()
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(TOOL_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def _answers(first: str) -> bool:
    """A refusal is an answer as well."""
    try:
        socket.create_connection((first, _PORT), REACH_S).close()
    except ConnectionRefusedError:
        pass
    except OSError:
        return False
    return True


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
    return str(printed(folder, CERTIFICATE_NAME)["details"]["ips"][0]).partition("/")[0]


def printed(folder: Path, certificate: str) -> dict[str, Any]:
    """What it says."""
    return dict(json.loads(call(folder, SIGNER, "print", "-json", "-path", certificate)))


def call(folder: Path, *command: str) -> str:
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
