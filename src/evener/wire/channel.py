"""The asyncio end of connections: an agent's to its ranks and to other agents.

Agents speak over TLS, which begins once both have proved in the open that they know the secret:
no stranger comes as far as a handshake of TLS. Ranks speak to the agent of their own machine, in
the open, over loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any, cast

from evener import errors
from evener.wire import frames, names, tls
from evener.wire.frames import Frame, FrameError

log = logging.getLogger(__name__)

_UNSENT_BYTES = 32 * 2**20  # a reader this far behind is not one
_UNREAD_FRAMES = 1024  # above it the sender waits
_CLOSE_S = 1.0  # for what is still to be sent

_SILENCE = {errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN}


class End(Enum):
    """How a connection ended: what may be concluded about the process on the other side."""

    OPEN = "open"
    OURS = "closed by this side"
    FAREWELL = "closed by the other side on purpose"
    DROPPED = "closed without a farewell"  # what the kernel does for a process that died
    SILENT = "timed out"  # a cut link says nothing about the process behind it


class Channel:
    """One proved connection. Iterate it for frames; iteration ends with the connection."""

    def __init__(self, wire: _Wire, hello: Frame, peer: Frame, said: Frame) -> None:
        self._wire = wire
        self.hello = hello  # the caller's
        self.peer = peer  # what the other side said of itself
        self.said = said  # what this side said of itself
        self.remote = wire.remote

    @property
    def end(self) -> End:
        return self._wire.end

    def send(self, frame: Frame) -> None:
        """Never blocks; a frame for a side that is gone, or does not read, is dropped."""
        self._wire.send(frames.encode(frame, self._wire.splitter.limit_bytes))

    def __aiter__(self) -> AsyncIterator[Frame]:
        return self._frames()

    async def _frames(self) -> AsyncIterator[Frame]:
        while (line := await self._wire.next_line()) is not None:
            try:
                frame = frames.decode(line)
            except FrameError as error:
                self._wire.refuse(str(error))
                return
            if frames.FAREWELL in frame:
                self._wire.farewell()
                return
            yield frame

    async def close(self, reason: str = "") -> None:
        """Says farewell, so that the end is not taken for a death, and waits a moment for it."""
        if self.end is End.OPEN:
            self.send({frames.FAREWELL: reason})
        await self._wire.close()

    def abort(self) -> None:
        """Ends the connection at once, without a farewell."""
        self._wire.leave(End.OURS)


class Server:
    """What `serve` opened: its address, with the port it really got."""

    def __init__(self, address: str) -> None:
        self.address = address


OnConnect = Callable[[Channel], Awaitable[None]]


@asynccontextmanager
async def serve(
    where: str | socket.socket,
    secret: str,
    on_connect: OnConnect,
    hello: Callable[[], Frame] = dict,
) -> AsyncIterator[Server]:
    """Listens until the block is left; `on_connect` runs as a task for each proved connection.

    `where` is an address, or a listening socket that was inherited; `hello` is asked for each
    caller. Whoever fails the handshake is dropped with a line in the log. Leaving the block ends
    every connection.
    """
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    def accept() -> _Wire:
        wire = _Wire()
        _keep(tasks, _welcome(wire, secret, hello(), on_connect))
        return wire

    sock = where if isinstance(where, socket.socket) else _bind(where)
    server = await loop.create_server(accept, sock=sock)
    try:
        yield Server(frames.join_address(*sock.getsockname()[:2]))
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def connect(address: str, secret: str, hello: Frame, timeout_s: float = 5.0) -> Channel:
    """Dials and shakes hands. OSError where nobody answers (refused: ConnectionRefusedError)."""
    host, port = frames.split_address(address)
    wire: _Wire | None = None
    try:
        async with asyncio.timeout(timeout_s):
            wire = await _dial(host, port)
            shake = frames.Connecting(secret, hello)
            wire.send(shake.answer(await wire.line()))
            shake.finish(await wire.line())
            await wire.promote(hello, secret, server_side=False)
    except (FrameError, TimeoutError, asyncio.CancelledError) as error:
        if wire is not None:
            wire.leave(End.OURS)
        if isinstance(error, FrameError):
            raise ConnectionAbortedError(f"{address}: {error}") from error
        raise
    return Channel(wire, hello, shake.peer, hello)


async def _dial(host: str, port: int) -> _Wire:
    """By the first of its addresses that answers."""
    loop, failed = asyncio.get_running_loop(), OSError(f"{host} has no address")
    for each in await names.addresses(host, port):
        try:
            _, wire = await loop.create_connection(_Wire, each, port)
        except OSError as error:
            failed = error
        else:
            return wire
    raise failed


def _bind(address: str) -> socket.socket:
    host, port = frames.split_address(address)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise errors.StartFailed(
            f"cannot listen: {error}", where=address, fix="choose an address of this machine"
        ) from error


async def _welcome(wire: _Wire, secret: str, hello: Frame, on_connect: OnConnect) -> None:
    """One caller, from its first byte to its last; a cancelled welcome drops it."""
    shake = frames.Serving(secret, hello)
    try:
        async with asyncio.timeout(frames.HANDSHAKE_S):
            await wire.connected.wait()
            wire.send(shake.opening())
            wire.send(shake.answer(await wire.line()))
            await wire.promote(shake.peer, secret, server_side=True)
        await on_connect(Channel(wire, shake.peer, shake.peer, hello))
    except FrameError as error:
        wire.refuse(f"no handshake: {error}")
    except TimeoutError:
        wire.refuse("no handshake within its time")
    finally:
        wire.leave(End.OURS)


def _keep(tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.get_running_loop().create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


class _Wire(asyncio.Protocol):
    """Bytes to lines and back, bounded on both sides. Remembers how the connection ended."""

    def __init__(self) -> None:
        self.splitter = frames.Splitter(frames.HANDSHAKE_BYTES)
        self.connected = asyncio.Event()
        self.end = End.OPEN
        self.remote = ""
        self._transport: asyncio.Transport | None = None
        self._lines: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        name = transport.get_extra_info("peername") or ("?", 0)
        self.remote = frames.join_address(str(name[0]), int(name[1]))
        self.connected.set()

    def data_received(self, data: bytes) -> None:
        if self.end is not End.OPEN:
            return
        try:
            self._lines.extend(self.splitter.feed(data))
        except FrameError as error:
            self.refuse(str(error))
        self._news.set()
        if len(self._lines) > _UNREAD_FRAMES and self._transport is not None:
            self._transport.pause_reading()

    def eof_received(self) -> None:
        self._ended(End.DROPPED)

    def connection_lost(self, exc: Exception | None) -> None:
        silent = isinstance(exc, OSError) and exc.errno in _SILENCE
        self._ended(End.SILENT if silent else End.DROPPED)
        self._lost.set()

    async def promote(self, hello: Frame, secret: str, *, server_side: bool) -> None:
        """The handshake is over: larger frames, the socket options of the caller's role, and
        between agents nothing in the open any more."""
        self.splitter.limit_bytes = frames.limit_bytes(hello)
        if frames.is_private(hello):
            await self._encrypt(secret, server_side)
        sock = self._transport.get_extra_info("socket") if self._transport else None
        if sock is not None:
            with contextlib.suppress(OSError):  # the other side may be gone already
                frames.tune(sock, hello)

    async def _encrypt(self, secret: str, server_side: bool) -> None:
        """FrameError where the other side cannot, or somebody has already said more in the open."""
        loop, plain = asyncio.get_running_loop(), self._transport
        if self._lines or self.splitter.unfinished:
            raise FrameError("words between the greeting and the encryption")
        if plain is None or self.end is not End.OPEN:
            raise FrameError("the connection was closed")
        try:
            context = tls.context(secret, server_side=server_side)
            private = await loop.start_tls(plain, self, context, server_side=server_side)
        except OSError as error:
            raise FrameError(f"no encrypted connection: {error}") from error
        if private is None:
            raise FrameError("the connection was closed")
        self._transport = private

    def send(self, line: bytes) -> None:
        if self._transport is None or self.end is not End.OPEN:
            return
        if self._transport.get_write_buffer_size() > _UNSENT_BYTES:
            self.refuse("it does not read what is sent to it")
            return
        self._transport.write(line)

    async def line(self) -> bytes:
        """The next line of a handshake."""
        line = await self.next_line()
        if line is None:
            raise FrameError("the connection was closed")
        return line

    async def next_line(self) -> bytes | None:
        """The next line; None once the connection has ended and all that came is read."""
        while not self._lines:
            if self.end is not End.OPEN:
                return None
            self._news.clear()
            await self._news.wait()
        line = self._lines.popleft()
        if not self._lines and self._transport is not None and self.end is End.OPEN:
            self._transport.resume_reading()
        return line

    def refuse(self, reason: str) -> None:
        if self.end is End.OPEN:
            log.warning("connection with %s dropped: %s", self.remote, reason)
        self.leave(End.OURS)

    def leave(self, end: End) -> None:
        """The connection has ended so; nothing more is sent or read."""
        if self.end is End.OPEN:
            self._lines.clear()
        self._ended(end)
        if self._transport is not None:
            self._transport.abort()

    def farewell(self) -> None:
        """The other side left on purpose, even if its end arrived before its word was read."""
        self.end = End.FAREWELL
        self.leave(End.FAREWELL)

    async def close(self) -> None:
        """Half-closes, where that is possible, so that what was sent arrives, and waits a moment
        for the other half."""
        if self._transport is None or self._lost.is_set():
            return
        self._ended(End.OURS)
        if not self._transport.is_closing():  # an encrypted one is closed once and asked no more
            self._transport.resume_reading()
            with contextlib.suppress(OSError):  # it may have died this moment
                if self._transport.can_write_eof():
                    self._transport.write_eof()
                else:
                    self._transport.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await self._lost.wait()
        self._transport.abort()

    def _ended(self, end: End) -> None:
        if self.end is End.OPEN:
            self.end = end
        self._news.set()
