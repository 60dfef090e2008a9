"""Where a pool's server and a machine that has joined keep what they must not forget.

    STATE/pool/           of the machine with the server: pool.json, roll.json, server.log,
                          mesh/, image/
    STATE/joined/HOST/    of a machine that has joined: joined.json, joiner.log, runs/,
                          mesh/, `leave`, once it is to leave

The name of the host is in the path because several machines may have one home folder.
"""

from __future__ import annotations

import os
import platform
import re
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from evener import contract, process
from evener.pool import paths
from evener.rundir import layout
from evener.wire import calls, tls
from evener.wire.calls import Server
from evener.wire.frames import join_address

VERSION = 1
PRIVATE = 0o600
FOLDER_MODE = 0o700
Kept = TypeVar("Kept", "Pool", "Joined")


@dataclass(frozen=True, slots=True)
class Pool:
    """What the server's machine knows of its pool. `bind` is empty for all of its addresses."""

    secret: str = field(repr=False)
    port: int
    bind: str = ""
    addresses: tuple[str, ...] = ()
    network: str = paths.AUTO
    announced: bool = True  # on the LAN
    pid: int = 0
    birth: str = ""

    @property
    def pin(self) -> str:
        return calls.fingerprint(tls.certificate(self.secret))

    @property
    def owner(self) -> str:
        """What the owner shows. Not the secret itself, from which the server's key is made."""
        return contract.page_key("owner of " + self.secret)

    @property
    def here(self) -> Server:
        return Server(self.bind or contract.LOOPBACK, self.port, pin=self.pin)

    @property
    def where(self) -> str:
        """For people."""
        return " or ".join(join_address(address, self.port) for address in self.addresses)

    @property
    def runs(self) -> bool:
        return bool(self.birth) and process.birth(self.pid) == self.birth


@dataclass(frozen=True, slots=True)
class Joined:
    """What a machine that has joined knows. `servers` are tried in turn. Where it has joined as a
    container, of which `container` is the name, that does the work and knows more."""

    servers: tuple[str, ...]
    member: str
    name: str
    secret: str = field(repr=False)
    pid: int = 0
    birth: str = ""
    container: str = ""

    @property
    def pin(self) -> str:
        return calls.parse(self.servers[0]).pin

    @property
    def works(self) -> bool:
        return bool(self.birth) and process.birth(self.pid) == self.birth

    @property
    def where(self) -> str:
        """For people."""
        found = (calls.parse(text) for text in self.servers)
        return " or ".join(join_address(server.host, server.port) for server in found)


def pool_folder() -> Path:
    return contract.state_folder() / "pool"


def joined_folder() -> Path:
    host = re.sub(r"[^A-Za-z0-9_-]", "-", platform.node().partition(".")[0]) or "localhost"
    return contract.state_folder() / "joined" / host


def roll_file() -> Path:
    return pool_folder() / "roll.json"


def image_folder() -> Path:
    """Where the image lies that the pool hands on."""
    return pool_folder() / "image"


def mesh_folder(folder: Path) -> Path:
    return folder / "mesh"


def leave_file(folder: Path) -> Path:
    return folder / "leave"


def read_pool() -> Pool | None:
    """None where this machine has none."""
    found = _read(pool_folder() / "pool.json", Pool)
    if found is None:
        return None
    return Pool(**{**found, "addresses": tuple(found["addresses"])})


def write_pool(pool: Pool) -> None:
    _write(pool_folder() / "pool.json", asdict(pool))


def read_joined(folder: Path) -> Joined | None:
    """None where this machine is in none."""
    found = _read(folder / "joined.json", Joined)
    return None if found is None else Joined(**{**found, "servers": tuple(found["servers"])})


def write_joined(folder: Path, joined: Joined) -> None:
    _write(folder / "joined.json", asdict(joined))


def with_own_process(record: Kept) -> Kept:
    """A pool or a membership, and this process, which serves it."""
    return replace(record, pid=os.getpid(), birth=process.birth(os.getpid()) or "")


def _read(file: Path, kind: type[Pool] | type[Joined]) -> dict[str, Any] | None:
    """What we know of it: a later version may have written more."""
    if not file.is_file():
        return None
    found = layout.read_json(file)
    return {each.name: found[each.name] for each in fields(kind) if each.name in found}


def _write(file: Path, record: dict[str, Any]) -> None:
    with layout.translated(file):
        file.parent.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
    layout.write_json(file, {"v": VERSION, **record}, PRIVATE)
