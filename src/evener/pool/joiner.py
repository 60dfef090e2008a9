"""The process of a machine that has joined: asks the pool what there is to do, and does it.

It dials out only. A pool that does not answer is asked again until it does: after a sleep, a
restart of the server or a loss of the network the machine is back by itself. It ends when it is
told to leave, here (`evener leave`) or by the pool (`evener down`); a signal ends the process, and
the machine stays a member. An engine that goes away with its machine has a signal of its own.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import random
import shutil
import signal
import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from evener import contract, errors
from evener.pool import detour, house, whereabouts
from evener.pool.agents import PART_S, Agents, Door, facing
from evener.pool.attendance import GRACE_S, HOLD_S
from evener.pool.client import AnsweredError, Client, introduction
from evener.pool.house import Joined
from evener.pool.mesh import Mesh
from evener.pool.way import Way
from evener.rundir import layout
from evener.wire import calls
from evener.wire.calls import Server
from evener.wire.frames import join_address

log = logging.getLogger("evener.pool")

TICK_S = 0.1
REACH_S = 1.0
CONNECT_S = 5.0
RENEW_S = 60.0  # until it is tried again
AGAIN_S, AGAIN_MOST_S = 0.3, 5.0
GONE = (404,)  # the server does not know us any more
UNKNOWN = "the pool does not know us"


class Joiner:
    """Of one membership, which lies in `folder`."""

    def __init__(self, folder: Path, joined: Joined) -> None:
        self._folder, self._joined = folder, joined
        self._door, self._mesh_door = Door(), Door()
        self._mesh = Mesh(house.mesh_folder(folder), self._detour)
        self._agents = Agents(folder / "runs", (self._door, self._mesh_door))
        self._head_file = folder / "runs" / "head"  # where agents read that the pool has moved
        self._way = Way([*map(calls.parse, joined.servers)], self._elsewhere)
        self._ending = threading.Event()
        self._has_network = True  # by which agents can say goodbye
        self.status = 0  # with which the process ends
        # Between the threads, under `_lock`:
        self._lock = threading.Lock()
        self._wishes: list[dict[str, Any]] | None = None
        self._leaves = ""  # why
        self._report: dict[str, Any] = {}
        self._news = threading.Event()  # there is something to tell at once

    def run(self) -> None:
        """Until it is told to leave, or to end."""
        shutil.rmtree(self._folder / "runs", ignore_errors=True)  # of an earlier life
        self._settle()
        self._look()
        self._note()
        threads = [
            threading.Thread(target=self._ask, name="ask", daemon=True),
            threading.Thread(target=self._tell, name="tell", daemon=True),
            threading.Thread(target=self._reach, name="reach", daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            self._work()
        finally:
            self._agents.part(PART_S if self._has_network else 0.0)
            for door in (self._door, self._mesh_door):
                door.close()
            self._mesh.close()
            self._ending.set()
            self._news.set()
            if self._leaves:
                self._leave()

    def end(self, *_: object) -> None:
        """A signal handler."""
        self._ending.set()

    def be_back(self, *_: object) -> None:
        """Another one: whoever has started us will do so again."""
        self.status = contract.AWAY_STATUS
        self._ending.set()

    # --------------------------------------------------------------------- the main thread

    def _work(self) -> None:
        left = house.leave_file(self._folder)
        while not self._ending.wait(TICK_S):
            with self._lock:
                wishes, self._wishes = self._wishes, None
            if wishes is not None:
                self._agents.keep(wishes)
            if self._leaves or left.exists():
                self._leaves = self._leaves or "asked to leave"
                return
            changed = self._agents.tend(replace(self._way.home, moves=str(self._head_file)))
            if self._look() or changed:
                self._note()
                self._news.set()

    def _look(self) -> bool:
        """Whether we answer elsewhere than before."""
        self._mesh.tend()
        before = self._door.address, self._mesh_door.address
        return before != (
            self._door.look(facing(self._way.home)),
            self._mesh_door.look(self._mesh.host),
        )

    def _note(self) -> None:
        """What there is to tell."""
        report = {
            "door": self._door.address,
            "mesh": self._mesh_door.address,
            "running": self._agents.running,
            "ended": self._agents.ended,
        }
        with self._lock:
            self._report = report

    def _leave(self) -> None:
        log.info("leaving: %s", self._leaves)
        if self._leaves != UNKNOWN:
            with contextlib.suppress(OSError, AnsweredError):
                Client(self._way.home, self._joined.secret).call("POST", "leave")
        self._mesh.leave()
        shutil.rmtree(self._folder, ignore_errors=True)

    # ------------------------------------------------------------------- the other threads

    def _ask(self) -> None:
        """One question after the other, over one connection as long as that holds."""
        seen, tries = "", 0
        connection: http.client.HTTPConnection | None = None
        while not (self._ending.is_set() or self._leaves):
            server = self._way.trying
            try:
                connection = connection or _opened(server)
                answer = self._said(server, {"seen": seen}, connection)
                seen, tries = str(answer["stamp"]), 0
                if self._way.answered():
                    self._moved()
                self._heard(answer)
            except AnsweredError as error:
                tries = self._refused(error, tries)
            except OSError as error:
                if connection is not None:
                    connection.close()
                connection, seen = None, ""
                if tries == 0:
                    log.info("the pool does not answer: %s", error)
                tries += 1
                self._way.missed()
                self._ending.wait(min(AGAIN_MOST_S, AGAIN_S * 2**tries) * random.uniform(0.5, 1))
        if connection is not None:
            connection.close()

    def _elsewhere(self, pin: str) -> list[Server]:
        """As somebody has said here meanwhile (`evener join --at`), or the LAN."""
        joined = house.read_joined(self._folder) or self._joined
        known = [*map(calls.parse, joined.servers)]
        try:
            return [*known, *whereabouts.elsewhere(pin)]
        except OSError as error:
            log.info("the LAN cannot be asked where the pool is: %s", error)
            return known

    def _moved(self) -> None:
        where = join_address(self._way.home.host, self._way.home.port)
        log.info("the pool answers at %s now", where)
        try:
            self._settle()
            joined = house.read_joined(self._folder)
            if joined is not None:
                servers = tuple(server.text for server in self._way.known)
                house.write_joined(self._folder, replace(joined, servers=servers))
            self._mesh.move([server.host for server in self._way.known])
        except errors.EvenerError as error:  # of the disk
            log.error("it will not be known after a restart: %s", error)

    def _settle(self) -> None:
        """Agents that run are told where the pool is."""
        home = self._way.home
        self._head_file.parent.mkdir(parents=True, exist_ok=True, mode=house.FOLDER_MODE)
        layout.write_atomic(self._head_file, join_address(home.host, home.port))

    def _refused(self, error: AnsweredError, tries: int) -> int:
        if error.status in GONE:
            self._leaves = UNKNOWN
            return 0
        log.error("the pool answers %s", error)
        self._ending.wait(AGAIN_MOST_S)
        return tries + 1

    def _reach(self) -> None:
        while not self._ending.wait(REACH_S):
            try:
                self._mesh.look()
            except errors.EvenerError as error:  # of the disk
                log.error("the mesh cannot be looked after: %s", error)
            if self._mesh.is_elsewhere:
                log.error("the mesh was started anew, with another network: so are we")
                self._has_network = False
                self.be_back()
            if self._mesh.is_due():
                self._renew()

    def _detour(self) -> socket.socket:
        return detour.opened(self._way.home, self._joined.secret)

    def _renew(self) -> None:
        """As if we joined again."""
        client, told = Client(self._way.home, self._joined.secret), introduction(self._folder)
        try:
            answer = client.call("POST", "join", told)
            self._mesh.renew(answer["mesh"], [server.host for server in self._way.known])
            log.info("the mesh's certificate is a new one")
        except (OSError, AnsweredError, KeyError, errors.EvenerError) as error:
            log.error("the mesh's certificate is not renewed: %s", error)
            self._ending.wait(RENEW_S)

    def _tell(self) -> None:
        """What has changed here, while the other thread's question is being held."""
        while not self._ending.is_set():
            self._news.wait()
            self._news.clear()
            if self._ending.is_set():
                return
            server = self._way.home
            with (
                contextlib.suppress(OSError, AnsweredError),
                contextlib.closing(server.connection(GRACE_S)) as connection,
            ):
                self._heard(self._said(server, {"seen": "", "now": True}, connection))

    def _said(
        self, server: Server, question: dict[str, Any], connection: http.client.HTTPConnection
    ) -> dict[str, Any]:
        with self._lock:
            told = self._report | question
        client = Client(server, self._joined.secret)
        return dict(client.call("POST", "wait", told, over=connection))

    def _heard(self, answer: dict[str, Any]) -> None:
        with self._lock:
            self._wishes = list(answer["wishes"])
        if answer["leave"]:
            self._leaves = "the pool has ended"
        try:
            self._mesh.block(list(answer["blocked"]))
        except errors.EvenerError as error:  # of the disk
            log.error("the mesh does not hear who has left: %s", error)


def _opened(server: Server) -> http.client.HTTPConnection:
    """An address at which nobody is takes less time than a question that is held."""
    made = server.connection(CONNECT_S)
    made.connect()
    made.timeout = HOLD_S + GRACE_S
    made.sock.settimeout(made.timeout)
    return made


def main(folder: Path) -> int:
    """In the foreground of whoever calls: the status to end with. Raises NoPool where nobody has
    joined."""
    joined = house.read_joined(folder)
    if joined is None:
        raise errors.NoPool(
            "this machine has joined no pool", where=str(folder), fix="evener join CODE"
        )
    joined = house.with_own_process(joined)
    house.write_joined(folder, joined)
    joiner = Joiner(folder, joined)
    signal.signal(signal.SIGTERM, joiner.end)
    signal.signal(signal.SIGINT, joiner.end)
    away = getattr(signal, contract.AWAY_SIGNAL, None)  # where there are containers
    if away is not None:
        signal.signal(away, joiner.be_back)
    joiner.run()
    return joiner.status
