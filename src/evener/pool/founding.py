"""A pool made on this machine, started again after a restart, or ended."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import replace

from evener import contract, errors, versions
from evener.docker import Engine
from evener.image import parcel
from evener.image.parcel import Label
from evener.pool import code, contained, detached, house, mesh, paths, serving, whereabouts
from evener.pool.client import Owner, owner
from evener.pool.code import Code
from evener.pool.house import Pool
from evener.rundir import layout

SECRET_BYTES = 32
START_S = 30.0
DOWN_S = 40.0
_POLL_S = 0.05


def found(bind: str, port: int | None, network: str, announced: bool | None) -> tuple[Pool, bool]:
    """The pool of this machine, with its server up; and whether it was up before. `announced`: None
    for as it was."""
    pool = house.read_pool()
    if pool is None:
        pool = _made(bind, port, network)
    else:
        _check_same(pool, bind, port)
    pool = replace(
        pool,
        addresses=whereabouts.addresses(pool.bind, pool.pin),  # they may have changed
        announced=pool.announced if announced is None else announced,
    )
    house.write_pool(pool)
    if pool.runs:
        return pool, True
    started = detached.start("serve", house.pool_folder() / "server.log")
    _await_answer(started)
    known = house.read_pool()
    assert known is not None
    return known, False


def _made(bind: str, port: int | None, network: str) -> Pool:
    _check_mesh(network)
    if bind == contract.LOOPBACK and network == paths.AUTO:
        network = paths.HOST  # all machines are this one
    return Pool(secrets.token_hex(SECRET_BYTES), _free_port(bind, port), bind, network=network)


def _check_mesh(network: str) -> None:
    if network == paths.MESH and (why := mesh.missing()):
        raise errors.ExtraMissing(
            f"there can be no mesh: {why}",
            where="evener up --network mesh",
            fix="apt-get install nebula, and run evener as root, here and on the others; "
            "or --network host",
        )


def _await_answer(started: detached.Started) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            owner().runs()
            return
        except errors.PoolAway as error:
            if not started.alive or time.monotonic() > deadline:
                raise errors.StartFailed(
                    f"the pool's server does not start{started.last_words()}",
                    where=str(started.log),
                    fix="the log says why; `evener up --port N` takes another port",
                ) from error
        time.sleep(_POLL_S)


def new_code(pool: Pool, by: Owner, lasts_s: float, uses: int) -> tuple[dict[str, object], str]:
    """A token, and the code that is typed on another machine."""
    token = by.mint(lasts_s, uses)
    pin = pool.pin[: 2 * code.PIN_BYTES]
    addresses = whereabouts.addresses(pool.bind, pool.pin)
    made = Code(addresses, pool.port, str(token["secret"]), pin)
    return token, code.encode(made)


def hand_on(image: str | None, note: Callable[[str], None]) -> Label | None:
    """The image that machines get from the pool: `image` from now on, where one is named. Raises
    ImageUnfit where machines that run it would not be let in."""
    folder = house.image_folder()
    if image is not None:
        with layout.translated(folder):
            folder.parent.mkdir(parents=True, exist_ok=True, mode=house.FOLDER_MODE)
        try:
            engine = Engine()
            parcel.pack(engine, image, folder, note, parcel.fitting(engine, image))
        except (errors.DockerAway, errors.NotPermitted, errors.ImageMissing) as error:
            why = error.what.splitlines()[0]
            note(f"the pool does not hand on {image}, machines must get it elsewhere: {why}")
    known = parcel.read(folder)
    if known is None:
        return None
    if known.label.evener != versions.EVENER:
        note(
            f"{known.label.name} has evener {known.label.evener}, and is not handed on any more: "
            "evener up --image NAME, with one of this evener"
        )
        return None
    return known.label


def mesh_for(image: str) -> str:
    """Whose network machines are on that join in that image without evener, and are to be in the
    mesh; empty where they cannot be, as far as is known here."""
    pool, known = house.read_pool(), parcel.read(house.image_folder())
    if pool is None or known is None or pool.network == paths.HOST or mesh.missing():
        return ""
    if known.label.name != image or not known.label.nebula:
        return ""
    return contained.APART if pool.network == paths.MESH else contained.SHARED


def end() -> None:
    """All machines are told to leave, and nothing of the pool stays here."""
    pool = house.read_pool()
    if pool is not None and pool.runs:
        owner().down()
        deadline = time.monotonic() + DOWN_S
        while pool.runs and time.monotonic() < deadline:
            time.sleep(_POLL_S)
    shutil.rmtree(house.pool_folder(), ignore_errors=True)


def _free_port(bind: str, port: int | None) -> int:
    with serving.opened(bind, port, "evener up") as made:
        return int(made.getsockname()[1])


def _check_same(pool: Pool, bind: str, port: int | None) -> None:
    """What a pool is at, those who have joined know: it cannot move."""
    if port not in (None, pool.port) or bind not in ("", pool.bind):
        raise errors.BadCommand(
            f"this machine has a pool already, at {pool.bind or 'its addresses'}, port {pool.port}",
            where="evener up",
            fix="evener up, without --port and --address; or `evener down` first",
        )
