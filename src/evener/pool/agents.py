"""The agents that a machine of a pool has: started as the server wishes, watched, and ended.

They end with us (`AgentEnv.owned`). One that ends with an error is started again some times, as an
engine would; what it then says last is told to the server.

One whose address the machine has lost is ended as if the machine had died: nobody would reach it,
its own ranks neither. It is started again when the address is back; where the machine has another
by then, the server may wish for another agent there.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from evener import contract
from evener.pool import mesh
from evener.pool.wish import MOVED, environment, from_dict
from evener.probe import address_facing
from evener.rundir.layout import RunDir
from evener.wire.calls import Server
from evener.wire.frames import join_address

log = logging.getLogger("evener.pool")

RESTARTS = 5
BACK_OFF_S = 1.0
GONE_S = 1.0  # an address that is renewed may be away for a moment
MESH_GONE_S = 5.0  # so is one of a mesh that turns from UDP to TCP, or back
PART_S = 30.0  # above the time in which an agent says goodbye and brings home what it has
_TAIL_LINES, _TAIL_BYTES = 8, 4096


class Door:
    """Where the next agent will answer: bound, so that it can be told to others beforehand, and
    not listening, so that until then nobody is answered."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self.address = ""

    def look(self, host: str) -> str:
        """At the address that the machine has in that network now; "" where it has none."""
        if not host or self._socket is None or self._socket.getsockname()[0] != host:
            self.close()
            if host:
                with contextlib.suppress(OSError):  # it is going, or not quite there yet
                    self._bind(host, 0)
        return self.address

    def take(self, told: str) -> socket.socket | None:
        """The socket that others were told of, if it is ours."""
        if self._socket is not None and self.address == told:
            found, self._socket, self.address = self._socket, None, ""
            return found
        return None

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self.address = None, ""

    def _bind(self, host: str, port: int) -> None:
        self._socket = _bound(host, port)
        self.address = join_address(host, self._socket.getsockname()[1])


def facing(server: Server) -> str:
    """Our address by which the server is reached now. Empty where there is no way."""
    try:
        return address_facing(server.host, server.port)
    except OSError:
        return ""


def is_ours(host: str) -> bool:
    """Whether this machine has that address now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as made:
        try:
            made.bind((host, 0))
        except OSError:
            return False
    return True


def _bound(host: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made


@dataclass(slots=True)
class Agent:
    """One wish of the server, and the process that fulfils it."""

    wish: dict[str, Any]
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    status: int | None = None  # once it is over
    words: str = ""
    starts: int = 0
    not_before: float = 0.0
    kill_at: float | None = None  # it was told to go
    gone_at: float | None = None  # the machine has lost its address
    said: set[str] = field(default_factory=set)


class Agents:
    """All of a machine's. `keep` and `tend` are called again and again, by one thread: agents die
    with the thread that has started them."""

    def __init__(self, folder: Path, doors: Sequence[Door]) -> None:
        self._folder, self._doors = folder, doors
        self._known: dict[str, Agent] = {}

    @property
    def running(self) -> list[str]:
        return [name for name, agent in self._known.items() if agent.process is not None]

    @property
    def ended(self) -> dict[str, tuple[int, str]]:
        """By wish: status and last words."""
        return {n: (a.status, a.words) for n, a in self._known.items() if a.status is not None}

    def keep(self, wishes: list[dict[str, Any]]) -> None:
        """These and no others. One that is over is forgotten once the server has heard of it."""
        wanted = {wish["id"]: wish for wish in wishes}
        for name in [n for n, a in self._known.items() if n not in wanted and a.process is None]:
            self._forget(self._known.pop(name))
        for name, agent in self._known.items():
            if name not in wanted and agent.kill_at is None:
                self._part(agent)
        for name, wish in wanted.items():
            if name not in self._known:
                folder = self._folder / f"{wish['run']}-{wish['told']['agent']}"
                self._known[name] = Agent(wish, folder)

    def tend(self, server: Server) -> bool:
        """Start what is due and look after what runs. Whether something has changed."""
        now, changed = time.monotonic(), False
        for agent in list(self._known.values()):
            if agent.process is not None and agent.process.poll() is not None:
                self._ended(agent, now)
                changed = True
            elif agent.process is not None and agent.kill_at is not None and now > agent.kill_at:
                agent.process.kill()
            elif agent.status is None and not self._is_here(agent, now):
                changed = self._away(agent, now) or changed
            elif agent.process is None and agent.status is None and now >= agent.not_before:
                self._start(agent, server)
                changed = True
        return changed

    def _is_here(self, agent: Agent, now: float) -> bool:
        """Whether it can answer where others know it."""
        if is_ours(_host(agent.wish["told"]["door"])):
            agent.gone_at = None
        elif agent.gone_at is None:
            agent.gone_at = now
        return agent.gone_at is None

    def _away(self, agent: Agent, now: float) -> bool:
        """Whether there is something to tell."""
        assert agent.gone_at is not None
        host = _host(agent.wish["told"]["door"])
        if agent.process is not None:
            if now - agent.gone_at > (MESH_GONE_S if mesh.is_in(host) else GONE_S):
                agent.process.kill()
            return False
        others = [_host(door.address) for door in self._doors if door.address]
        if mesh.is_in(host) or not any(not mesh.is_in(other) for other in others):
            return False  # it will be back
        log.info("agent of %s ends: %s is not ours any more", agent.wish["told"]["name"], host)
        agent.status, agent.words = MOVED, f"the machine had {host} before, and has another address"
        return True

    def part(self, patience_s: float) -> None:
        """All leave their runs, and are waited for."""
        for agent in self._known.values():
            if agent.status is None:
                self._part(agent)
        deadline = time.monotonic() + patience_s
        for agent in self._known.values():
            if agent.process is not None:
                try:
                    agent.process.wait(max(0.0, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    agent.process.kill()
                    agent.process.wait()
                agent.process = None
            self._forget(agent)
        self._known.clear()

    def _part(self, agent: Agent) -> None:
        agent.kill_at = time.monotonic() + PART_S
        if agent.process is not None:
            agent.process.terminate()

    def _start(self, agent: Agent, server: Server) -> None:
        told = agent.wish["told"]
        run = RunDir(agent.folder / str(told["name"]))
        sock = self._socket(str(told["door"]))
        agent.starts += 1
        try:
            if sock is None:
                raise OSError(f"the address {told['door']} is taken, or is no longer ours")
            run.create()
            with sock, (agent.folder / "agent.log").open("ab") as file:
                agent.process = subprocess.Popen(
                    (sys.executable, "-P", "-m", "evener.agent"),
                    env=_environment(agent.wish, run, server, sock),
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    start_new_session=True,
                    **_handing(sock),
                )
            log.info("agent %s of %s starts", told["agent"], told["name"])
        except OSError as error:
            log.error("agent %s of %s cannot be started: %s", told["agent"], told["name"], error)
            agent.words = str(error)
            self._again(agent, 1, time.monotonic())

    def _socket(self, told: str) -> socket.socket | None:
        """The one that others were told of: a door's, or a new one where that was used before."""
        for door in self._doors:
            if (found := door.take(told)) is not None:
                return found
        with contextlib.suppress(OSError):
            return _bound(_host(told), int(told.rpartition(":")[2]))
        return None

    def _ended(self, agent: Agent, now: float) -> None:
        assert agent.process is not None
        status, agent.process = agent.process.returncode, None
        log.info("agent of %s ended with status %d", agent.wish["told"]["name"], status)
        if status == 0 or agent.kill_at is not None:
            agent.status = 0 if agent.kill_at is None else status
            return
        if agent.gone_at is not None:
            return
        agent.words = _tail(agent.folder / "agent.log")
        self._again(agent, status, now)

    def _again(self, agent: Agent, status: int, now: float) -> None:
        if agent.starts > RESTARTS:
            agent.status = status
        agent.not_before = now + BACK_OFF_S * 2 ** (agent.starts - 1)

    def _forget(self, agent: Agent) -> None:
        """What it had was brought home, or is not wanted."""
        shutil.rmtree(agent.folder, ignore_errors=True)


def _environment(
    wish: dict[str, Any], run: RunDir, server: Server, sock: socket.socket
) -> dict[str, str]:
    head = replace(server, path=f"/runs/{wish['run']}").text
    fd = -1 if sys.platform == "win32" else sock.fileno()
    env = environment(from_dict(wish["told"]), str(run.path), head, fd)
    code = contract.module_path((str(run.path / contract.CODE),))
    return contract.inherited_environ() | env | code


def _handing(sock: socket.socket) -> dict[str, Any]:
    """On Windows it cannot be inherited: its address is free again, for the child to take."""
    if sys.platform == "win32":
        sock.close()
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        return {"creationflags": flags}
    return {"pass_fds": (sock.fileno(),)}


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")


def _tail(log_file: Path) -> str:
    with contextlib.suppress(OSError), log_file.open("rb") as file:
        file.seek(max(0, log_file.stat().st_size - _TAIL_BYTES))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-_TAIL_LINES:])
    return ""
