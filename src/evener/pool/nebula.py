"""nebula on this machine: what it is told, whom it lets in, and its process."""

from __future__ import annotations

import ipaddress
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evener import contract
from evener.wire.frames import join_address

PROGRAM, SIGNER = "nebula", "nebula-cert"
CONFIG_NAME, LOG_NAME, CA_NAME = "nebula.json", "nebula.log", "ca.crt"
CERTIFICATE_NAME, KEY_NAME, PUBLIC_NAME = "host.crt", "host.key", "host.pub"
MTU = 1300
TOOL_S = 10.0
AGAIN_S = 5.0  # until it is started again, where it has ended
NOBODY_PORT = 9  # where the first machine is asked whether it is there: nobody answers at it
ALLOWED = "remote_allow_list"
_ANYTHING = {"port": "any", "proto": "any", "host": "any"}
_SYSTEM_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
_USUAL_PORTS = "49152-65535"


def config(folder: Path, own: str, first: str, port: int, hosts: Sequence[str]) -> dict[str, Any]:
    """nebula's, which reads JSON as YAML."""
    leads = own == first
    others = [] if leads else [first]
    device = f"ev{int(ipaddress.ip_address(own)) & 0xFFFFFF:06x}"
    return {
        "pki": {
            "ca": str(folder / CA_NAME),
            "cert": str(folder / CERTIFICATE_NAME),
            "key": str(folder / KEY_NAME),
            "disconnect_invalid": True,
            "blocklist": [],
        },
        "static_host_map": {} if leads else {first: [f"{host}:{port}" for host in hosts]},
        "lighthouse": {"am_lighthouse": leads, "interval": 10, "hosts": others}
        | ({} if leads else {ALLOWED: {"0.0.0.0/0": True, "127.0.0.0/8": False}}),
        "listen": {
            "host": contract.EVERYWHERE,
            "port": port if leads else 0,
            "send_recv_error": "always",  # which `udp_answers` asks for
        },
        "punchy": {"punch": True, "respond": True},
        "relay": {"am_relay": leads, "use_relays": True, "relays": others},
        "tun": {"dev": device, "mtu": MTU},
        "logging": {"level": "warning"},
        "firewall": {"outbound": [_ANYTHING], "inbound": _let_in(leads)},
    }


def _let_in(leads: bool) -> list[dict[str, str]]:
    """Members of the pool, at the ports of agents and ranks: those that the system gives to
    whoever asks for any. What else this machine serves, at a port of its own, they do not reach."""
    ports = [system_ports(), *([str(NOBODY_PORT)] if leads else [])]
    return [{"port": each, "proto": "tcp", "host": "any"} for each in ports]


def system_ports() -> str:
    try:
        low, high = _SYSTEM_PORTS.read_text().split()
    except OSError:
        return _USUAL_PORTS
    return f"{low}-{high}"


def detoured(told: Mapping[str, Any], port: int, own_port: int) -> dict[str, Any]:
    """The same, where the first is reached by a detour that begins at `port` of loopback: there
    others look for nobody, though the first tells them of such addresses."""
    lighthouse = {key: value for key, value in told["lighthouse"].items() if key != ALLOWED}
    return {
        **told,
        "static_host_map": {
            first: [join_address(contract.LOOPBACK, port)] for first in told["static_host_map"]
        },
        "lighthouse": lighthouse,
        "listen": {**told["listen"], "port": own_port},
    }


def make_key(folder: Path) -> Path:
    """This machine's, if there is none yet, and the file of its public half. Raises OSError."""
    file = folder / PUBLIC_NAME
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        call(folder, SIGNER, "keygen", "-out-key", KEY_NAME, "-out-pub", PUBLIC_NAME)
    return file


class Nebula:
    """Its process, which ends with the thread that tends it. `words` is where it writes; nowhere
    of its own, if that is None."""

    def __init__(self, words: Path | None) -> None:
        self._words = words
        self._process: subprocess.Popen[bytes] | None = None
        self._not_before = 0.0
        self.started_at = 0.0

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def waits(self) -> bool:
        """Whether it is to be started."""
        return not self.runs and time.monotonic() >= self._not_before

    def tend(self, file: Path) -> bool:
        """Started, with that file. True: it starts by that."""
        self._not_before = time.monotonic() + AGAIN_S
        self.started_at = time.monotonic()
        words = None if self._words is None else self._words.open("ab")
        try:
            self._process = subprocess.Popen(
                _command(file), stdin=subprocess.DEVNULL, stdout=words, stderr=words,
                start_new_session=True,
            )  # fmt: skip
        finally:
            if words is not None:
                words.close()
        return True

    def reload(self) -> None:
        """It reads its file again, and those who stay in the mesh notice nothing."""
        fresh = time.monotonic() - self.started_at < AGAIN_S
        if self._process is None or fresh or sys.platform == "win32":
            self.restart()  # it may not have read anything yet, or knows no such signal
        else:
            self._process.send_signal(signal.SIGHUP)

    def restart(self) -> None:
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
    os.execvp(PROGRAM, [PROGRAM, "-config", file])


def _command(file: Path) -> tuple[str, ...]:
    if sys.platform == "linux":
        return (sys.executable, "-P", "-m", "evener.pool", "mesh", str(file))
    return (PROGRAM, "-config", str(file))


def address_in(folder: Path) -> str:
    """Of the certificate there, with the size of its network."""
    return str(printed(folder, CERTIFICATE_NAME)["details"]["ips"][0])


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
