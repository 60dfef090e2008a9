"""How this machine gets into a pool: as a process of its own Python, or, where that does not do and
there is an engine, as a container in the image that the pool hands on."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from evener import errors, versions
from evener.cluster import Device
from evener.docker import DESKTOP, Engine, gpus
from evener.pool import contained, entry, fetching, house, paths
from evener.pool.contained import Container, Entry
from evener.pool.fetching import Offer
from evener.pool.house import Joined
from evener.probe import probe
from evener.versions import Versions

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Aboard:
    """`listed` is what the pool says of this machine."""

    joined: Joined
    listed: dict[str, Any]


def join(typed: str | None, at: str | None, note: Note) -> Aboard:
    """What waits for work here works when this returns."""
    known = contained.settled()
    if known is not None and known.container:
        entry.entrance(typed, at)  # of another pool it would be refused
        container = Container(Engine())
        joined = contained.again(container, known, at)
        return Aboard(joined, entry.listed(joined, container, meshed=container.has_mesh))
    if known is None and typed is not None and (why := _unlike(typed, at)):
        offer, _ = _offered(typed, at)
        if offer is not None:
            note(f"{why}: it runs the pool's image, {_named(offer)}")
            return _in_container(offer, typed, at, note)
    try:
        joined = entry.join(typed, at)
    except errors.VersionsDiffer as differ:
        if known is not None or typed is None:
            raise _explained(differ, "`evener leave` here, then join with a code") from differ
        offer, why_not = _offered(typed, at)
        if offer is None:
            raise _explained(differ, why_not) from differ
        note(f"{differ.what}: it runs the pool's image, {_named(offer)}")
        return _in_container(offer, typed, at, note)
    return Aboard(joined, entry.work_detached(joined))


def _unlike(typed: str, at: str | None) -> str:
    """Why a process here would not train with what the pool hands on; empty where it would, and
    where versions of evener differ: of that the pool speaks itself."""
    own, offer = versions.installed(), None
    with contextlib.suppress(errors.CodeRefused):  # an older pool; or joining will say it again
        offer = fetching.offered(entry.entrance(typed, at))
    if offer is None or offer.label.evener != own.evener:
        return ""
    differ = versions.differing(own, Versions(offer.label.evener, offer.label.torch))
    return f"this machine has {versions.named(own, differ)}" if differ else ""


def _named(offer: Offer) -> str:
    return f"{offer.label.name} (evener {offer.label.evener}, torch {offer.label.torch})"


def _explained(differ: errors.VersionsDiffer, otherwise: str) -> errors.VersionsDiffer:
    return errors.VersionsDiffer(
        differ.what, where=differ.where, fix=f"{differ.fix}; or {otherwise}"
    )


def _offered(typed: str, at: str | None) -> tuple[Offer | None, str]:
    """What the pool hands on, if the engine here can run it; else what is to be done for that."""
    engine = Engine()
    try:
        engine.facts()
        own = engine.call("version", "--format={{.Server.Arch}}").strip()
        _check_here(engine)
    except errors.MachineError as error:
        why = error.what.partition(": ")[0]
        return None, (
            "run the pool's image here, for which this machine needs a Docker engine "
            f"({why}), and the pool one to hand on: `evener up --image NAME` there"
        )
    offer = None
    with contextlib.suppress(errors.CodeRefused):  # an older pool; or joining will say it again
        offer = fetching.offered(entry.entrance(typed, at), engine)
    if offer is None:
        return None, (
            "run the pool's image on this machine's Docker engine, once the pool hands one on: "
            "`evener up --image NAME` there, `evener join` again here"
        )
    if offer.label.architecture != own:
        return None, (
            f"hand on an image for {own} as well: that of the pool, {offer.label.name}, is for "
            f"{offer.label.architecture}"
        )
    return offer, ""


def _check_here(engine: Engine) -> None:
    """What an engine of another machine runs is there."""
    at = engine.address
    if at.partition("://")[0] not in ("unix", "npipe"):
        raise errors.DockerFailed(
            f"the one that the docker command speaks to is elsewhere, at {at}"
        )


def _in_container(offer: Offer, typed: str, at: str | None, note: Note) -> Aboard:
    container = Container(Engine())
    with fetching.alone():
        contained.check_free(container)
        fetching.bring(offer, container.engine, note)
        by = Entry(
            typed, offer.label.name, at,
            _gives_gpus(probe().devices, offer.label.torch, container.engine, note),
            _mesh(offer, container.engine, note), house.joined_folder().name,
        )  # fmt: skip
        joined = _started(partial(contained.start, container), by, note)
    meshed = bool(by.mesh) and container.has_mesh
    return Aboard(joined, entry.listed(joined, container, meshed=meshed))


def _started(start: Callable[[Entry], Joined], by: Entry, note: Note) -> Joined:
    """With what the engine can give of all that it should have."""
    try:
        return start(by)
    except contained.NoMeshError as error:
        note(f"it is in no mesh: {error}")
        return _started(start, replace(by, mesh=""), note)
    except errors.DeviceMissing as error:
        if not by.gpus:
            raise
        note(f"its GPUs are not used: {error.what}. {error.fix}; then leave and join again")
        return _started(start, replace(by, gpus=False), note)


def _mesh(offer: Offer, engine: Engine, note: Note) -> str:
    """Whose network it is on. The machine's, where others may reach it directly there; one of
    their own, if they cannot: in a virtual machine, or as the pool says."""
    if offer.network == paths.HOST:
        return ""
    if not offer.label.nebula:
        note(f"it is in no mesh: there is no nebula in {offer.label.name}")
        return ""
    elsewhere = sys.platform != "linux" or engine.facts().system == DESKTOP
    return contained.APART if elsewhere or offer.network == paths.MESH else contained.SHARED


def _gives_gpus(found: Sequence[Device], torch: str, engine: Engine, note: Note) -> bool:
    """`torch` is the image's."""
    devices = [device for device in found if device.kind == "cuda"]
    if not devices:
        return False
    if versions.is_for_processors(torch):
        note(f"its GPUs are not used: the image's torch ({torch}) is for processors")
        return False
    hindrance = gpus.hindrance(devices, engine.facts().runtimes)
    if hindrance is not None:
        note(f"its GPUs are not used: {hindrance.what}. {hindrance.fix}; then leave and join again")
    return hindrance is None


def membership() -> Joined | None:
    """What this machine is in."""
    known = contained.settled()
    if known is None or not known.container:
        return known
    return contained.current(Container(Engine()), known)


def leave() -> Joined:
    """Out again, whichever way it came in."""
    known = house.read_joined(house.joined_folder())
    if known is None or not known.container:
        return entry.leave()
    contained.leave(Container(Engine()), known)
    return known
