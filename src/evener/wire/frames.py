"""Frames and the handshake before them, as pure bytes in and out: both kinds of I/O share it.

A frame is one JSON object on one line. Before the first frame both sides prove that they know the
run's secret, without saying it:

    server: {"evener": 1, "nonce": ns}
    client: {"nonce": nc, "hello": {...}, "proof": HMAC(secret, ["connect", ns, nc, hello])}
    server: {"hello": {...}, "proof": HMAC(secret, ["serve", ns, nc, hello])}

The word that names the direction keeps a proof from being reflected, the nonces from being
replayed. `hello` is believed only after its proof.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socket
from typing import Any

from evener import errors

VERSION = 1
HANDSHAKE_S = 5.0  # who takes longer is not one of ours
HANDSHAKE_BYTES = 4096
LIMITS_BYTES = {"rank": 16 * 2**20, "agent": 2**20}  # of one frame, by the caller's role
LIMIT_BYTES = 2**20

# A farewell says that a connection is closed on purpose; without one, an end is evidence of death.
FAREWELL = "farewell"

Frame = dict[str, Any]


class FrameError(ValueError):
    """What arrived is no frame of ours: the connection it came over is dropped."""


def encode(frame: Frame, limit_bytes: int) -> bytes:
    line = json.dumps(frame, separators=(",", ":")).encode() + b"\n"
    if len(line) > limit_bytes:
        raise FrameError(f"a frame of {len(line)} bytes is above the limit of {limit_bytes}")
    return line


def decode(line: bytes) -> Frame:
    try:
        frame = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"not JSON: {line[:40]!r}") from error
    if not isinstance(frame, dict):
        raise FrameError(f"not an object: {line[:40]!r}")
    return frame


class Splitter:
    """Cuts a stream into lines; holds at most one unfinished line of `limit_bytes`."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without their ends."""
        searched = len(self._rest)
        self._rest += data
        lines: list[bytes] = []
        begin = 0
        while (end := self._rest.find(b"\n", max(begin, searched))) >= 0:
            self._check(end - begin)
            lines.append(bytes(self._rest[begin:end]))
            begin = end + 1
        del self._rest[:begin]
        self._check(len(self._rest))
        return lines

    @property
    def unfinished(self) -> bool:
        """Whether a line has begun that has not ended."""
        return bool(self._rest)

    def _check(self, length: int) -> None:
        if length >= self.limit_bytes:
            raise FrameError(f"a line above {self.limit_bytes} bytes")


class Serving:
    """The server's half of the handshake. `peer` is the client's hello, once it is proved."""

    def __init__(self, secret: str, hello: Frame) -> None:
        self._secret, self._hello = _checked(secret), hello
        self._nonce = secrets.token_hex(16)
        self.peer: Frame = {}

    def opening(self) -> bytes:
        return encode({"evener": VERSION, "nonce": self._nonce}, HANDSHAKE_BYTES)

    def answer(self, line: bytes) -> bytes:
        """Proves ourselves to a client that has proved itself; anything else is a FrameError."""
        said = decode(line)
        nonce, hello = _text(said, "nonce"), _hello(said)
        _verify(self._secret, "connect", self._nonce, nonce, hello, _text(said, "proof"))
        self.peer = hello
        proof = _prove(self._secret, "serve", self._nonce, nonce, self._hello)
        return encode({"hello": self._hello, "proof": proof}, HANDSHAKE_BYTES)


class Connecting:
    """The client's half of the handshake. `peer` is the server's hello, once it is proved."""

    def __init__(self, secret: str, hello: Frame) -> None:
        self._secret, self._hello = _checked(secret), hello
        self._nonce = secrets.token_hex(16)
        self._theirs = ""
        self.peer: Frame = {}

    def answer(self, line: bytes) -> bytes:
        said = decode(line)
        if said.get("evener") != VERSION:
            raise FrameError(f"the other side speaks version {said.get('evener')!r}, not {VERSION}")
        self._theirs = _text(said, "nonce")
        proof = _prove(self._secret, "connect", self._theirs, self._nonce, self._hello)
        answer = {"nonce": self._nonce, "hello": self._hello, "proof": proof}
        return encode(answer, HANDSHAKE_BYTES)

    def finish(self, line: bytes) -> None:
        said = decode(line)
        hello = _hello(said)
        _verify(self._secret, "serve", self._theirs, self._nonce, hello, _text(said, "proof"))
        self.peer = hello


def limit_bytes(hello: Frame) -> int:
    """The largest frame on a connection whose caller said `hello`."""
    return LIMITS_BYTES.get(str(hello.get("role")), LIMIT_BYTES)


def is_private(hello: Frame) -> bool:
    """Whether a connection whose caller said `hello` leaves the machine: then it is encrypted."""
    return hello.get("role") in ("agent", "caller")


def split_address(address: str) -> tuple[str, int]:
    """`host:port`, `[::1]:port`."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise errors.StartFailed(
            f"{address!r} is no address", fix="write host:port; port 0 takes a free one"
        )
    return host.strip("[]"), int(port)


def join_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def tune(sock: socket.socket, hello: Frame) -> None:
    """Small frames leave at once; between machines a cut link ends the connection in seconds.

    Not so between a rank and its agent: there a full window means a busy reader, not a cut.
    """
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hello.get("role") == "rank":
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    wanted = {"TCP_KEEPIDLE": 2, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 5000}
    for name, value in wanted.items():
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _checked(secret: str) -> bytes:
    if not secret:
        raise errors.StartFailed(
            "no secret was given, and nothing here speaks without one",
            fix="start processes of a run with `evener run`, which makes its secret",
        )
    return secret.encode()


def _prove(secret: bytes, direction: str, server: str, client: str, hello: Frame) -> str:
    text = json.dumps([direction, server, client, hello], separators=(",", ":"), sort_keys=True)
    return hmac.new(secret, text.encode(), "sha256").hexdigest()


def _verify(
    secret: bytes, direction: str, server: str, client: str, hello: Frame, proof: str
) -> None:
    expected = _prove(secret, direction, server, client, hello)
    if not hmac.compare_digest(expected.encode(), proof.encode(errors="replace")):
        raise FrameError("the other side does not know this run's secret")


def _text(said: Frame, key: str) -> str:
    value = said.get(key)
    if not isinstance(value, str) or not value:
        raise FrameError(f"no {key} in the handshake")
    return value


def _hello(said: Frame) -> Frame:
    hello = said.get("hello")
    if not isinstance(hello, dict):
        raise FrameError("no hello in the handshake")
    return hello
