"""What nebula sends to the pool's machine, taken there by TCP: for networks that keep UDP out.

nebula is told that the pool's machine is here, at a port of loopback. What it sends to that travels
in one connection to the pool's own port, with its certificate and a member's secret, and is given
to the nebula there; what that answers comes back. It is encrypted twice, and slower.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence

from evener.contract import EVERYWHERE, LOOPBACK
from evener.pool.datagrams import LARGEST, Cutter, Waiting
from evener.wire import frames
from evener.wire.calls import Server

log = logging.getLogger("evener.pool")

PATH = "/pool/datagrams"
CONNECT_S = 5.0
KERNEL_BYTES = 2**18  # unsent, of a connection: the kernel would keep seconds of a slow link
ROUND = 64  # datagrams, then the other direction has its turn
RECORD_BYTES = 2**14  # of TLS
AGAIN_S, AGAIN_MOST_S = 0.3, 5.0
_LOOK_S = 0.5
_HEAD_BYTES = 4096
_ENDLESS = 2**62
_ASK = "POST {path} HTTP/1.0\r\nAuthorization: Bearer {secret}\r\nContent-Length: {length}\r\n\r\n"
# A datagram of nebula's with the number of a connection, and its answer where it knows of none.
_UNKNOWN, _ANSWERED, _AFTER = b"\x11\0\0\0", b"\x12\0\0\0", bytes(8)
_NUMBER_BYTES = 4
Opened = Callable[[], socket.socket]


def udp_answers(places: Sequence[tuple[str, int]], tries: int = 3, wait_s: float = 0.4) -> bool:
    """Whether a nebula at one of these gets what we send it by UDP, and we its answer."""
    number = secrets.token_bytes(_NUMBER_BYTES)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(tries):
            for place in places:
                with contextlib.suppress(OSError):  # no way there, or no such name
                    sock.sendto(_UNKNOWN + number + _AFTER, place)
            if _hears(sock, _ANSWERED + number, wait_s):
                return True
    return False


def _hears(sock: socket.socket, wanted: bytes, wait_s: float) -> bool:
    deadline = time.monotonic() + wait_s
    while (left_s := deadline - time.monotonic()) > 0:
        sock.settimeout(left_s)
        with contextlib.suppress(OSError):
            if sock.recv(LARGEST).startswith(wanted):
                return True
    return False


def opened(server: Server, secret: str) -> socket.socket:
    """A stream of datagrams, to and from the pool's machine. Raises OSError."""
    connection = server.connection(CONNECT_S)
    connection.connect()
    sock: socket.socket = connection.sock
    try:
        sock.sendall(_ASK.format(path=PATH, secret=secret, length=_ENDLESS).encode())
        said = b""
        while b"\r\n\r\n" not in said:
            piece = sock.recv(_HEAD_BYTES)
            if not piece or len(said) > _HEAD_BYTES:
                raise ConnectionError("the pool closes the connection")
            said += piece
        status = said.split(maxsplit=2)[1]
        if status != b"200":
            raise ConnectionError(f"the pool answers with status {status.decode()}")
        frames.tune(sock, {})  # a cut link is noticed within seconds
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
    except BaseException:
        sock.close()
        raise
    return sock


class Detour:
    """Lasts until it is closed: a connection that ends is opened again. `port` is where nebula is
    to send to, and `own_port` where it is to send from: nobody else here is listened to."""

    def __init__(self, first: socket.socket, again: Opened) -> None:
        self.own_port = _free_port()
        self._near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._near.bind((LOOPBACK, 0))
        self._near.connect((LOOPBACK, self.own_port))
        self._near.setblocking(False)
        self.port = int(self._near.getsockname()[1])
        self._again, self._ending = again, threading.Event()
        self._thread = threading.Thread(target=self._run, args=(first,), name="detour", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ending.set()
        self._thread.join(CONNECT_S)

    def _run(self, first: socket.socket) -> None:
        far: socket.socket | None = first
        tries = 0
        while not self._ending.is_set():
            try:
                far = far or self._again()
                tries = 0
                _Carrier(self._near, far).carry(self._ending)
            except OSError as error:
                if tries == 0:
                    log.info("the mesh's connection to the pool ends: %s", error)
                tries += 1
                self._ending.wait(min(AGAIN_MOST_S, AGAIN_S * 2**tries))
            finally:
                if far is not None:
                    far.close()
                far = None
        self._near.close()


class _Carrier:
    """Between nebula and one connection, whose end is an OSError."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self._near, self._far = near, far
        self._cutter, self._waiting = Cutter(), Waiting()
        self._going = b""  # a record that TLS has begun to take: it wants the same again
        far.setblocking(False)

    def carry(self, ending: threading.Event) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._near, selectors.EVENT_READ)
            selector.register(self._far, selectors.EVENT_READ)
            more = False
            while not ending.is_set():
                writes = selectors.EVENT_WRITE if self._going else 0
                selector.modify(self._far, selectors.EVENT_READ | writes)
                selector.select(0 if more else _LOOK_S)
                taken = self._take()
                self._send()
                more = self._give() or taken

    def _take(self) -> bool:
        """From nebula. Whether there may be more."""
        for _ in range(ROUND):
            try:
                self._waiting.put(self._near.recv(LARGEST))
            except BlockingIOError:
                return False
            except OSError:
                return False  # nebula is not there, or not yet
        return True

    def _send(self) -> None:
        with contextlib.suppress(ssl.SSLWantWriteError, ssl.SSLWantReadError):
            while self._going or self._waiting:
                self._going = self._going or self._waiting.take(RECORD_BYTES)
                self._going = self._going[self._far.send(self._going) :]

    def _give(self) -> bool:
        """To nebula. Whether there may be more: TLS may hold what the kernel does not show."""
        for _ in range(ROUND):
            try:
                data = self._far.recv(RECORD_BYTES)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return False
            if not data:
                raise ConnectionError("the pool has closed it")
            for datagram in self._cutter.feed(data):
                with contextlib.suppress(OSError):
                    self._near.send(datagram)
        return True


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind((EVERYWHERE, 0))
        return int(made.getsockname()[1])
