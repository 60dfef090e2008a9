"""The blocking end of a connection, for processes without an event loop: a rank's to its agent.

A writer thread owns sending, so that training never waits for an agent that is slow to read. An
agent that does not read thousands of frames counts as gone.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from evener import errors
from evener.wire import frames
from evener.wire.frames import Frame, FrameError

_QUEUED_FRAMES = 4096
_CHUNK_BYTES = 65536


class Line:
    """Use as a context manager, or `close` it. One thread receives; any thread sends."""

    def __init__(self, sock: socket.socket, limit_bytes: int, rest: Iterator[bytes]) -> None:
        """`connect` makes lines; `rest` are lines that arrived together with the handshake."""
        self._socket = sock
        self._limit_bytes = limit_bytes
        self._lines = rest
        self._queue: queue.Queue[bytes | None] = queue.Queue(_QUEUED_FRAMES)
        self._idle = threading.Condition()
        self._unsent = 0
        self._gone = False
        self._writer = threading.Thread(target=self._write, name="evener-line", daemon=True)
        self._writer.start()

    @classmethod
    def connect(cls, address: str, secret: str, hello: Frame, timeout_s: float) -> Line:
        """Dials and shakes hands; whatever goes wrong within `timeout_s` is a StartFailed."""
        deadline = time.monotonic() + timeout_s
        try:
            sock = socket.create_connection(frames.split_address(address), timeout=timeout_s)
        except OSError as error:
            raise _unreachable(address, error) from error
        try:
            frames.tune(sock, hello)
            lines = _Lines(sock, deadline)
            shake = frames.Connecting(secret, hello)
            sock.sendall(shake.answer(next(lines)))
            shake.finish(next(lines))
            lines.unlimit(frames.limit_bytes(hello))
        except (OSError, FrameError, StopIteration) as error:
            sock.close()
            raise _unreachable(address, error) from error
        return cls(sock, frames.limit_bytes(hello), lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def fileno(self) -> int:
        """The socket's descriptor: who shuts a process's sockets down must leave this one."""
        return self._socket.fileno()

    def send(self, frame: Frame) -> None:
        """Never blocks. On a line whose other end is gone the frame is dropped."""
        line = frames.encode(frame, self._limit_bytes)
        with self._idle:
            if self._gone:
                return
            try:
                self._queue.put_nowait(line)
                self._unsent += 1
            except queue.Full:
                self._hang_up()

    def receive(self) -> Frame | None:
        """Blocks for the next frame; None when the other end is gone, or sent no frame."""
        try:
            frame = frames.decode(next(self._lines))
            if frames.FAREWELL not in frame:
                return frame
        except (OSError, FrameError, StopIteration):
            pass  # an end is an end: the agent, which knows more, writes it down
        with self._idle:
            self._hang_up()
        return None

    def flush(self, timeout_s: float) -> bool:
        """Waits until the system has taken all that was sent; False if it did not in time."""
        with self._idle:
            done = self._idle.wait_for(lambda: self._unsent == 0 or self._gone, timeout_s)
            return done and self._unsent == 0

    def close(self) -> None:
        """Sends what the system takes within a second, then ends the connection. Idempotent."""
        self.flush(1.0)
        with self._idle:
            self._hang_up()
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)
        self._writer.join(5.0)
        self._socket.close()

    def _write(self) -> None:
        while (lines := self._waiting()) and not self._gone:
            try:
                self._socket.sendall(b"".join(lines))
            except OSError:
                with self._idle:
                    self._hang_up()
                return
            with self._idle:
                self._unsent -= len(lines)
                self._idle.notify_all()

    def _waiting(self) -> list[bytes]:
        """All that waits, as one: who reads is woken once. Nothing, when there will be no more."""
        lines = [self._queue.get()]
        while not self._queue.empty():  # nobody else takes from it
            lines.append(self._queue.get())
        return [] if None in lines else [line for line in lines if line is not None]

    def _hang_up(self) -> None:
        """Wakes whoever sends, receives or flushes. The caller holds the condition."""
        self._gone = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._idle.notify_all()


class _Lines(Iterator[bytes]):
    """Lines from a socket; during the handshake small ones, and only until `deadline`."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._socket = sock
        self._splitter = frames.Splitter(frames.HANDSHAKE_BYTES)
        self._ready: list[bytes] = []
        self._deadline: float | None = deadline

    def unlimit(self, limit_bytes: int) -> None:
        """The handshake is over: large frames, at any time."""
        self._deadline = None
        self._socket.settimeout(None)
        self._splitter.limit_bytes = limit_bytes

    def __next__(self) -> bytes:
        while not self._ready:
            if self._deadline is not None:
                self._socket.settimeout(max(self._deadline - time.monotonic(), 0.001))
            data = self._socket.recv(_CHUNK_BYTES)
            if not data:
                raise StopIteration
            self._ready = self._splitter.feed(data)
        return self._ready.pop(0)


def _unreachable(address: str, error: BaseException) -> errors.StartFailed:
    reason = str(error) or "the connection was closed"
    return errors.StartFailed(
        f"no line to the agent: {reason}",
        where=address,
        fix="look into the agent's log; the run's secret and address must be of the same run",
    )
