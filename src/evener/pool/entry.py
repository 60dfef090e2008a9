"""This machine joins a pool, is a member of it, and leaves it."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from evener import errors, versions
from evener.pool import code, detached, house, mesh, server, whereabouts
from evener.pool.client import AnsweredError, Client, introduction
from evener.pool.code import Code
from evener.pool.house import Joined, Pool
from evener.pool.way import Search
from evener.wire import calls
from evener.wire.calls import Server, WrongCertificateError
from evener.wire.frames import join_address, split_address

TRY_S = 4.0  # for an address to answer
LISTED_S = 20.0
MESH_S = 12.0  # for its address in the mesh to be there, by UDP or else by TCP, if it is to be
LEAVE_S = 45.0
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Line:
    """What is `typed` here, what `serves` there, and how to get another code."""

    typed: str
    serves: str
    renewed: str


JOIN = Line("evener join", "evener up", "`evener token new` on the pool's machine makes one")
_FETCH = "evener image fetch"
_OF_POOL, _OF_IMAGE = (
    Line(_FETCH, JOIN.serves, JOIN.renewed),
    Line(_FETCH, "evener image serve", "it prints one each time that it is started"),
)


@dataclass(frozen=True, slots=True)
class Entrance:
    """Where a pool may be, and what lets this machine in; `search` finds it elsewhere."""

    pin: str
    servers: tuple[Server, ...]
    secret: str = field(repr=False)
    search: Search = whereabouts.elsewhere
    line: Line = JOIN


class Works(Protocol):
    """What has been started to wait for work on this machine; `where` it is to be looked for."""

    @property
    def alive(self) -> bool: ...

    @property
    def where(self) -> str: ...

    def last_words(self) -> str: ...


def join(typed: str | None, at: str | None = None) -> Joined:
    """By a code, or again by what is known of the last pool. Its process is not started yet."""
    return _entered(house.joined_folder(), entrance(typed, at))


def entrance(typed: str | None, at: str | None = None) -> Entrance:
    """By a code, or by what is known of the last pool."""
    known = house.read_joined(house.joined_folder())
    if typed is None:
        if known is None:
            raise errors.NoPool(
                "this machine has joined no pool yet",
                where="evener join",
                fix="`evener up` on another machine prints the line to type here, with a code",
            )
        servers, secret = tuple(map(calls.parse, known.servers)), known.secret
        pin, port = known.pin, servers[0].port
    else:
        told = code.decode(typed)
        if told.image:
            raise errors.CodeRefused(
                "that is the code of an image, by which no machine joins",
                where=JOIN.typed,
                fix=f"{_FETCH} CODE; `evener up` on a machine prints a code to join its pool",
            )
        check_free(told.pin)
        pin, port = told.pin, told.port
        seen = map(calls.parse, known.servers) if known else ()  # it may have moved since
        servers = tuple({(s.host, s.port): s for s in (*_places(told), *seen)}.values())
        secret = known.secret if known else told.secret
    return _at(Entrance(pin, servers, secret), at, port)


def to_image(typed: str, at: str | None = None) -> Entrance:
    """By the code of what hands on an image: a pool, or `evener image serve`. In which pool this
    machine is does not matter."""
    told = code.decode(typed, _FETCH)
    line = _OF_IMAGE if told.image else _OF_POOL
    by = Entrance(told.pin, tuple(_places(told)), told.secret, line=line)
    return _at(by, at, told.port)


def _places(told: Code) -> Iterator[Server]:
    return (Server(host, told.port, pin=told.pin) for host in told.addresses)


def _at(by: Entrance, at: str | None, port: int) -> Entrance:
    """There alone, where somebody has said where it is."""
    if not at:
        return by
    named = Server(*_named(at, port, by.line), pin=by.pin)
    return replace(by, servers=(named,), search=_nowhere)


def _named(at: str, port: int, line: Line = JOIN) -> tuple[str, int]:
    """`HOST`, with the pool's port, or `HOST:PORT`."""
    if at.count(":") == 1 or "]:" in at:
        try:
            return split_address(at)
        except errors.StartFailed:
            raise errors.BadCommand(
                f"{at!r} is no address", where=f"{line.typed} --at", fix="write HOST or HOST:PORT"
            ) from None
    return at.strip("[]"), port


def _nowhere(pin: str) -> Sequence[Server]:
    """Nobody else is asked where somebody has said where it is."""
    return ()


def check_free(pin: str) -> None:
    """Raises NoPool where this machine is in another pool than that with `pin`."""
    folder = house.joined_folder()
    known = house.read_joined(folder)
    if known is not None and not (pin and known.pin.startswith(pin)):
        raise errors.NoPool(
            f"this machine is in another pool, that of {known.where}",
            where=str(folder),
            fix="`evener leave` first",
        )


def join_own(pool: Pool) -> Joined:
    """The machine of the server joins without a code, or is still in it."""
    folder = house.joined_folder()
    servers = (Server(pool.addresses[0], pool.port, pin=pool.pin),)
    known = house.read_joined(folder)
    if known is not None:
        with contextlib.suppress(errors.CodeRefused):
            return _entered(folder, Entrance(pool.pin, servers, known.secret, _nowhere))
    return _entered(folder, Entrance(pool.pin, servers, pool.owner, _nowhere))


def _entered(folder: Path, by: Entrance) -> Joined:
    try:
        reached, answer = first(by, "join", introduction(folder))
    except BaseException:
        if house.read_joined(folder) is None:  # the keys that were made for it are nobody's then
            shutil.rmtree(folder, ignore_errors=True)
        raise
    ordered = (reached, *(s for s in by.servers if s != reached))
    joined = Joined(
        servers=tuple(server_.text for server_ in ordered),
        member=str(answer["member"]),
        name=str(answer["name"]),
        secret=str(answer["secret"]),
    )
    known = house.read_joined(folder)
    if known is not None and known.works:  # and goes on with what is written here
        joined = replace(joined, pid=known.pid, birth=known.birth)
    house.write_joined(folder, joined)
    if "mesh" in answer:
        mesh.settle(house.mesh_folder(folder), answer["mesh"], [s.host for s in ordered])
    return joined


def first(by: Entrance, ask: str, told: dict[str, Any]) -> tuple[Server, dict[str, Any]]:
    """The first that answers, and what it says to that."""
    failures: list[str] = []
    stranger: WrongCertificateError | None = None
    for server_ in _candidates(by, failures):
        where = join_address(server_.host, server_.port)
        try:
            client = Client(server_, by.secret)
            return server_, client.call("POST", ask, told, timeout_s=TRY_S)
        except AnsweredError as error:
            raise _refused(error, where, by.line) from error
        except WrongCertificateError as error:
            stranger = error
            failures.append(f"{where} (another certificate)")
        except OSError as error:
            failures.append(f"{where} ({error.strerror or error})")
    tried = ", ".join(failures)
    if stranger is not None:
        raise other_certificate(by, f"{stranger}; tried: {tried}") from stranger
    raise errors.PoolAway(
        f"nobody answers; tried: {tried}",
        where=by.line.typed,
        fix=f"look whether `{by.line.serves}` still runs there and its firewall lets the port in; "
        f"where it has another address: {by.line.typed} CODE --at HOST[:PORT]",
    )


def other_certificate(by: Entrance, what: str) -> errors.CodeRefused:
    return errors.CodeRefused(
        f"that is not the server of this code, or somebody is in between: {what}",
        where=by.line.typed,
        fix=f"look whether `{by.line.serves}` still runs there; where it was made anew, take a new "
        f"code: {by.line.renewed}",
    )


def _candidates(by: Entrance, failures: list[str]) -> Iterator[Server]:
    """Those that are known, then those that are found."""
    yield from by.servers
    if by.search is _nowhere:
        return
    try:
        found = by.search(by.pin)
    except OSError as error:
        failures.append(f"the LAN (it could not be asked: {error})")
        return
    if not found:
        failures.append("the LAN (nobody there knows it)")
    yield from (server_ for server_ in found if server_ not in by.servers)


def _refused(error: AnsweredError, where: str, line: Line) -> errors.EvenerError:
    if error.status == server.HTTP_OTHER_VERSION:
        return errors.VersionsDiffer(
            f"the pool has evener {error.said}, and this machine evener {versions.EVENER}",
            where=where,
            fix=f'install the same here: pip install "evener[train]=={error.said}"',
        )
    if error.status == server.HTTP_REFUSED:
        what, fix = f"the code {error.said}", line.renewed
    elif error.status == server.HTTP_TOO_MANY:
        what, fix = "too many wrong codes came from this address", "try again in a minute"
    elif line is not JOIN:
        what, fix = "who answers knows nothing of this code", f"take another: {line.renewed}"
    else:
        what = "the pool knows nothing of this code, or of this machine any more"
        fix = "`evener leave` here, then join with a new code: `evener token new` there"
    return errors.CodeRefused(what, where=where, fix=fix)


def work_detached(joined: Joined) -> dict[str, Any]:
    """Start the process of this machine; what the pool says of it once it is on its list."""
    folder = house.joined_folder()
    known = house.read_joined(folder)
    started = None
    if known is None or not known.works:
        started = detached.start("work", folder / "joiner.log")
    return listed(joined, started)


def listed(joined: Joined, started: Works | None, *, meshed: bool = False) -> dict[str, Any]:
    """What the pool says of this machine once it is on its list. `started` is what makes it so;
    None where that is there already; `meshed`: by a container that is to be in the mesh."""
    folder = house.joined_folder()
    client = Client(calls.parse(joined.servers[0]), joined.secret)
    to_be_meshed = mesh.settled(house.mesh_folder(folder))
    began = time.monotonic()
    deadline = began + LISTED_S
    while True:
        with contextlib.suppress(OSError, AnsweredError):
            mine = [each for each in members(client) if each["id"] == joined.member]
            waits = (meshed or to_be_meshed) and time.monotonic() - began < MESH_S
            if mine and (mine[0]["mesh"] or not waits) and (mine[0]["door"] or mine[0]["why_not"]):
                return mine[0]
        if time.monotonic() > deadline or (started is not None and not started.alive):
            words = started.last_words() if started else ""
            raise errors.StartFailed(
                f"what is to wait for work here does not{words}",
                where=started.where if started else str(folder / "joiner.log"),
                fix="the log says why; `evener join` without a code tries again",
            )
        time.sleep(_POLL_S)


def members(client: Client) -> list[dict[str, Any]]:
    return list(client.call("GET", "members")["members"])


def leave() -> Joined:
    """Its agents leave their runs, the pool forgets it, and nothing of it stays here."""
    folder = house.joined_folder()
    known = house.read_joined(folder)
    if known is None:
        raise errors.NoPool(
            "this machine is in no pool", where=str(folder), fix="there is nothing to leave"
        )
    if not known.works:
        client = Client(calls.parse(known.servers[0]), known.secret)
        with contextlib.suppress(OSError, AnsweredError):
            client.call("POST", "leave", timeout_s=TRY_S)
        shutil.rmtree(folder, ignore_errors=True)
        return known
    house.leave_file(folder).touch()
    deadline = time.monotonic() + LEAVE_S
    while folder.exists() and known.works and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return known
