"""Where a server of ours answers, and a connection to it: plain, or to one certificate alone.

`host:port` is plain HTTP, for loopback and networks of one engine. `https://host:port/path#HEX` is
TLS with whoever shows a certificate whose SHA-256 begins with HEX: no authority is asked and no
clock is looked at, so a machine whose clock is wrong gets in as well, and one in between does not.
A server that may move has the name of a file after its path: `https://host:port/path?FILE#HEX`.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import ssl
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from evener import errors
from evener.wire.calling import Calling
from evener.wire.frames import join_address, split_address

SECURE = "https://"
LEAST_DIGITS = 24  # of a fingerprint: 96 bits


class WrongCertificateError(ConnectionError):
    """Somebody else answers there: an old server's place was taken, or a third is in between."""


@dataclass(frozen=True, slots=True)
class Server:
    """`path` comes before that of every request; without a `pin` it is spoken to in the clear.

    `moves` is a file that says where it answers now, for who outlives its address.
    """

    host: str
    port: int
    path: str = ""
    pin: str = ""
    moves: str = ""

    @property
    def text(self) -> str:
        """What `parse` reads back."""
        where = join_address(self.host, self.port)
        moves = f"?{quote(self.moves, safe='')}" if self.moves else ""
        return f"{SECURE}{where}{self.path}{moves}#{self.pin}" if self.pin else where

    def connection(self, timeout_s: float) -> http.client.HTTPConnection:
        if not self.pin:
            return Calling(self.host, self.port, timeout=timeout_s)
        return _Pinned(*self._now(), self.pin, timeout_s)

    def _now(self) -> tuple[str, int]:
        if self.moves:
            with contextlib.suppress(OSError, errors.StartFailed):
                return split_address(Path(self.moves).read_text(encoding="utf-8"))
        return self.host, self.port


def parse(text: str) -> Server:
    """Raises StartFailed where that is no address of a server."""
    if not text.startswith(SECURE):
        return Server(*split_address(text))
    parts = urlsplit(text)
    if len(parts.fragment) < LEAST_DIGITS:
        raise errors.StartFailed(f"{text!r} names no certificate", fix="this is a defect of evener")
    return Server(*split_address(parts.netloc), parts.path, parts.fragment, unquote(parts.query))


class _Pinned(http.client.HTTPSConnection):
    """Nothing is sent before the certificate is known to be the right one."""

    def __init__(self, host: str, port: int, pin: str, timeout_s: float) -> None:
        super().__init__(host, port, timeout=timeout_s, context=_anonymous())
        self._pin = pin

    def connect(self) -> None:
        super().connect()
        found = fingerprint(self.sock.getpeercert(binary_form=True) or b"")
        if not hmac.compare_digest(found[: len(self._pin)], self._pin):
            self.close()
            raise WrongCertificateError(
                f"who answers at {join_address(self.host, self.port)} has another certificate"
            )


def fingerprint(certificate: bytes) -> str:
    return hashlib.sha256(certificate).hexdigest()


@lru_cache(maxsize=1)
def _anonymous() -> ssl.SSLContext:
    """It accepts any certificate: `_Pinned` looks at it."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made
