"""The process of a pool's server: one TLS port, until the owner ends the pool or it gets SIGTERM.

After the latter, or a crash, `evener up` starts it again into the same pool.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import socket
from pathlib import Path

from evener import contract, errors
from evener.pool import code, house, lan, mesh, paths, server, whereabouts
from evener.pool.attendance import Attendance
from evener.pool.authority import Authority
from evener.pool.house import Pool
from evener.pool.inlet import Inlets
from evener.pool.lan import Place
from evener.pool.roll import Roll
from evener.web import Server
from evener.wire import tls

log = logging.getLogger("evener.pool")

PARTING_S = 20.0  # for members to leave, when the pool ends
BACKLOG = 512
GOODBYE_S = 2
_LOOK_S = 0.1
_TRIED_PORTS = 20


class PoolServer:
    """Serves one pool; `serve` returns when that is over."""

    def __init__(
        self, pool: Pool, roll: Roll, image: Path, authority: Authority | None = None
    ) -> None:
        self._roll, self._attendance, self._ends = roll, Attendance(), False
        self._inlets = Inlets(pool.port)  # nebula's number is the same
        desk = server.Desk(roll, self._attendance, pool, authority, self._inlets, self._down, image)
        self._server = Server(server.build(desk), GOODBYE_S, tls.serving(pool.secret))

    def stop(self, *_: object) -> None:
        self._server.end()

    def _down(self) -> None:
        self._ends = True

    async def serve(self, listening: socket.socket) -> bool:
        """Whether the pool is no more."""
        watch = asyncio.create_task(self._watch())
        await self._server.serve(sockets=[listening])
        await watch
        return self._ends

    async def _watch(self) -> None:
        """When the pool ends its members are told; who is asleep finds it gone."""
        while not (self._ends or self._server.should_exit):
            await asyncio.sleep(_LOOK_S)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PARTING_S
        while self._ends and self._present() and loop.time() < deadline:
            await asyncio.sleep(_LOOK_S)
        self._attendance.tell_all()
        self._inlets.close()
        self.stop()

    def _present(self) -> bool:
        return any(self._attendance.is_there(member) for member in self._roll.members)


def main(pool: Pool) -> None:
    """In the foreground of whoever calls."""
    house.write_pool(house.with_own_process(pool))
    listening = listen(pool.bind, pool.port)
    log.info("listening on %s port %d", pool.bind or "all addresses", pool.port)
    served = PoolServer(pool, Roll(house.roll_file()), house.image_folder(), _authority(pool))
    signal.signal(signal.SIGTERM, served.stop)
    signal.signal(signal.SIGINT, served.stop)
    with listening, lan.announced(_place):
        over = asyncio.run(served.serve(listening))
    if over:
        shutil.rmtree(house.pool_folder(), ignore_errors=True)


def _place() -> Place | None:
    """As it is now: addresses change. None where nobody is to know, or nobody else could come."""
    pool = house.read_pool()
    return None if pool is None or not pool.announced else place(pool)


def place(pool: Pool) -> Place | None:
    """Where the LAN is told that it is."""
    found = whereabouts.addresses(pool.bind, pool.pin)
    reached = tuple(a for a in found if ":" not in a and not a.startswith("127."))
    return Place(pool.pin, reached, pool.port) if reached else None


def _authority(pool: Pool) -> Authority | None:
    """None where the pool wants no mesh, or this machine cannot have one."""
    if pool.network == paths.HOST:
        return None
    if why := mesh.missing():
        log.info("there is no mesh: %s", why)
        return None
    made = Authority(house.pool_folder() / "mesh", pool.pin, pool.port)
    try:
        made.create()
    except OSError as error:
        log.warning("there is no mesh: %s", error)
        return None
    return made


def listen(bind: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    return socket.create_server((bind or contract.EVERYWHERE, port), family=family, backlog=BACKLOG)


def opened(bind: str, port: int | None, by: str) -> socket.socket:
    """At the port that was asked for or none; else at the first that is free. `by` is the command
    that wants it."""
    wanted = [port] if port is not None else range(code.PORT, code.PORT + _TRIED_PORTS)
    for each in wanted:
        try:
            return listen(bind, each)
        except OSError as error:
            reason = error
    raise errors.PortTaken(
        f"{by} cannot listen: {reason.strerror or reason}",
        where=f"{bind or 'this machine'}, port {' or '.join(map(str, wanted[:1]))}",
        fix=f"{by} --port N, with one that is free; --address with one of this machine's",
    )
