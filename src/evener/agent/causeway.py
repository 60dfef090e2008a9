"""A way to the head that stands in for one that is away: through the doors of agents.

Who calls dials a port of its own machine's loopback, as it would dial a head. What it says goes
through the door of an agent that hosts one, encrypted as all that agents say, and from there to
that head's port on loopback. So no port is opened, and nobody needs an address that agents do not
have. Pieces are acknowledged: a slow side holds the other one back, and not the memory.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from evener import contract
from evener.wire.channel import Channel, connect
from evener.wire.frames import FrameError, join_address

log = logging.getLogger("evener.agent")

ROLE = "caller"
PIECE_BYTES = 256 * 1024
WINDOW = 4  # pieces on their way
DIAL_S = 2.0
NOBODY = "no head is here"


class Causeway:
    """The caller's end: its loop runs in a thread of its own, for those who call may wait.

    `doors` says which agents may host one, the likeliest first; `here` is the port of a head that
    this agent itself hosts, 0 without one.
    """

    def __init__(
        self, secret: str, doors: Callable[[], Iterable[str]], here: Callable[[], int]
    ) -> None:
        self._secret, self._doors, self._here = secret, doors, here
        self._sock = socket.create_server((contract.LOOPBACK, 0), backlog=128)
        self.address = join_address(*self._sock.getsockname()[:2])
        self._last = ""  # the door behind which there was a head
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._work, name="causeway", daemon=True)
        self._thread.start()

    def close(self) -> None:
        with contextlib.suppress(RuntimeError):  # it has failed, and said why
            self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()
        self._sock.close()

    def _work(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._pass_on, sock=self._sock)
        await self._ended.wait()
        server.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if port := self._here():
                await _join(reader, writer, port)
            elif (channel := await self._reach()) is not None:
                await _carry(channel, reader, writer)
        except OSError as error:
            log.debug("the stand-in is not reached: %s", error)
        finally:
            writer.close()

    async def _reach(self) -> Channel | None:
        """The first door behind which there is a head."""
        for door in dict.fromkeys([*filter(None, [self._last]), *self._doors()]):
            try:
                channel = await connect(door, self._secret, {"role": ROLE}, DIAL_S)
                if await _opened(channel):
                    self._last = door
                    return channel
            except OSError as error:
                log.debug("agent at %s: %s", door, error)
        return None


async def receive(channel: Channel, port: int) -> None:
    """The other end, in the agent that was called: `port` is that of its head, 0 without one."""
    if not port:
        await channel.close(NOBODY)
        return
    try:
        reader, writer = await asyncio.open_connection(contract.LOOPBACK, port)
    except OSError as error:
        await channel.close(f"{NOBODY}: {error}")
        return
    channel.send({"open": 1})
    try:
        await _carry(channel, reader, writer)
    finally:
        writer.close()


async def _opened(channel: Channel) -> bool:
    try:
        async with asyncio.timeout(DIAL_S):
            async for frame in channel:
                return "open" in frame
    except TimeoutError:
        channel.abort()
    return False


async def _carry(
    channel: Channel, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Both ways, until either side has ended."""
    free = asyncio.Semaphore(WINDOW)
    try:
        await _until_either(_out(channel, reader, free), _in(channel, writer, free))
    finally:
        await channel.close()


async def _out(channel: Channel, reader: asyncio.StreamReader, free: asyncio.Semaphore) -> None:
    while piece := await reader.read(PIECE_BYTES):
        await free.acquire()
        channel.send({"piece": base64.b64encode(piece).decode()})


async def _in(channel: Channel, writer: asyncio.StreamWriter, free: asyncio.Semaphore) -> None:
    async for frame in channel:
        if "taken" in frame:
            free.release()
            continue
        try:
            writer.write(base64.b64decode(str(frame.get("piece", "")), validate=True))
        except ValueError as error:
            raise FrameError(f"no piece: {error}") from error
        await writer.drain()
        channel.send({"taken": 1})


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """To a head of this machine, without a channel."""
    theirs, ours = await asyncio.open_connection(contract.LOOPBACK, port)
    try:
        await _until_either(_copy(reader, ours), _copy(theirs, writer))
    finally:
        ours.close()


async def _until_either(*works: Coroutine[Any, Any, None]) -> None:
    """Both at once; when one has ended, so has the other."""
    ways = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(PIECE_BYTES):
        writer.write(piece)
        await writer.drain()
