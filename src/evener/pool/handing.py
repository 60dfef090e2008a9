"""An image handed on by itself, to who has its code: by a server of it alone, until that is ended.

What it says and how it guards that is as of a pool. No engine would take the image from a registry
here: they want a certificate that they trust, or plain HTTP on their own loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import secrets
import shutil
import signal
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from evener import contract, process, units
from evener.docker import Engine
from evener.image import archive, parcel
from evener.image.parcel import Label, Part
from evener.pool import code, founding, house, images, lan, server, serving, whereabouts
from evener.pool.code import Code
from evener.pool.fetching import Note
from evener.pool.gate import Gate
from evener.pool.house import Pool
from evener.pool.roll import Roll
from evener.web import Server
from evener.wire import tls

BY = "evener image serve"
LASTS_S = 365 * 86_400.0  # of its code: that is good as long as somebody serves
_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Stand:
    """`label` is handed on at `pool`, to who shows `code`."""

    label: Label
    code: str
    pool: Pool
    server: Server
    listening: socket.socket

    def serve(self) -> None:
        """Until Ctrl-C, or somebody ends this process otherwise."""
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # that of who was cut off
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._end)
        with lan.announced(lambda: serving.place(self.pool)):
            asyncio.run(self.server.serve(sockets=[self.listening]))

    def _end(self, *_: object) -> None:
        self.server.end()


@contextlib.contextmanager
def stand(engine: Engine, image: str, bind: str, port: int | None, note: Note) -> Iterator[Stand]:
    """Everything is packed and the port is open; nothing of it stays."""
    with (
        serving.opened(bind, port, BY) as listening,
        _folder() as folder,
    ):
        label = parcel.pack(engine, image, folder / "image", note)
        pool = _pool(bind, listening)
        roll = Roll(folder / "roll.json")
        _, secret = roll.mint(LASTS_S, 1)
        app = server.walled(images.routes(Gate(roll, pool), folder / "image", asked=_telling(note)))
        made = Server(app, serving.GOODBYE_S, tls.serving(pool.secret))
        yield Stand(label, _code(pool, secret), pool, made, listening)


def _pool(bind: str, listening: socket.socket) -> Pool:
    """Without members, and never on disk: its secret ends with this process."""
    made = Pool(secrets.token_hex(founding.SECRET_BYTES), listening.getsockname()[1], bind)
    return replace(made, addresses=whereabouts.addresses(bind, made.pin))


def _code(pool: Pool, secret: str) -> str:
    pin = pool.pin[: 2 * code.PIN_BYTES]
    return code.encode(Code(pool.addresses, pool.port, secret, pin, image=True))


def _telling(note: Note) -> images.Asked:
    def asked(address: str, parts: Sequence[Part]) -> None:
        note(f"{address} asks for it, and lacks {units.show_size(sum(p.size for p in parts))}")

    return asked


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """Of this process, gone with it; and so is what one has left there that was killed."""
    above = contract.cache_folder() / "served" / house.joined_folder().name
    with archive.written(above, f"free some space, or set {contract.CACHE_VARIABLE}"):
        above.mkdir(parents=True, exist_ok=True, mode=house.FOLDER_MODE)
        for left in above.iterdir():
            if left.name.partition(".")[0] != _of(left.name.partition("-")[0]):
                shutil.rmtree(left, ignore_errors=True)
        prefix = f"{_of(str(os.getpid()))}."
        made = TemporaryDirectory(prefix=prefix, dir=above, ignore_cleanup_errors=True)
    with made as folder:
        yield Path(folder)


def _of(pid: str) -> str:
    """A process, as the name of a folder: an id is used again one day."""
    born = process.birth(int(pid)) if pid.isdigit() else None
    return f"{pid}-{hashlib.sha256((born or '').encode()).hexdigest()[:_DIGITS]}"
