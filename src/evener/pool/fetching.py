"""An image that is handed on, brought to this machine's engine: the layers that it lacks.

What has come stays until the engine has all of it: a fetch that breaks off goes on where it was,
after a loss of the network as after a Ctrl-C.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evener import contract, errors, process, units
from evener.docker import Engine
from evener.image import archive, parcel
from evener.image.parcel import Label, Part
from evener.pool import entry, house, images, paths
from evener.pool.client import AnsweredError, Client
from evener.pool.entry import Entrance
from evener.rundir import layout
from evener.wire.calls import Server, WrongCertificateError
from evener.wire.porter import Porter

Note = Callable[[str], None]
PATIENCE_S = 60.0  # without one byte more
AGAIN_S = 1.0
TELL_S = 5.0
LOOK_S = 30.0  # for the server, into gigabytes
TRIES = 3  # of a part that does not have its hash


@dataclass(frozen=True, slots=True)
class Offer:
    """`parts` are those that the engine here lacks; `network` is by which runs of the pool go,
    where that is without a mesh `paths.HOST`."""

    server: Server
    by: Entrance
    label: Label
    parts: tuple[Part, ...]
    network: str = paths.HOST


def offered(by: Entrance, engine: Engine | None = None) -> Offer | None:
    """None where the pool hands on nothing. Raises as joining does, and as engines do. Without an
    engine, `parts` are all that there are."""
    stacks = archive.stacks(engine) if engine is not None else []
    server, told = entry.first(by, images.OFFER, {"stacks": stacks})
    return _read(server, by, told)


def fetched(typed: str, at: str | None, note: Note) -> str:
    """The image of a code: its name, once the engine here has it."""
    engine = Engine()
    engine.facts()
    own = engine.call("version", "--format={{.Server.Arch}}").strip()
    with alone():
        offer = offered(entry.to_image(typed, at), engine)
        if offer is None:
            raise errors.ImageMissing(
                "the pool of this code hands on no image",
                where="evener image fetch",
                fix="`evener up --image NAME` there; or there `evener image serve NAME`, which "
                "prints a code of its own",
            )
        if offer.label.architecture != own:
            note(f"{offer.label.name} is for {offer.label.architecture}, and this engine for {own}")
        bring(offer, engine, note)
    return offer.label.name


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Two at a time would write into the same files, and of two that join one would remove the
    other's container."""
    folder = house.joined_folder()
    file = folder.with_name(f".{folder.name}.joining")
    if file.is_file():
        other = layout.read_json(file)
        if process.birth(int(other["pid"])) == other["birth"]:
            raise errors.StartFailed(
                "this machine fetches an image at this moment, or joins a pool",
                where=f"process {other['pid']}",
                fix="wait for it; or end it, and type this again: what it has fetched stays",
            )
    with layout.translated(file):
        file.parent.mkdir(parents=True, exist_ok=True, mode=house.FOLDER_MODE)
    layout.write_json(file, {"pid": os.getpid(), "birth": process.birth(os.getpid())})
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _read(server: Server, by: Entrance, told: dict[str, Any]) -> Offer | None:
    if not told:
        return None
    try:
        label, parts = parcel.understood(told)
    except (ValueError, TypeError, KeyError) as error:
        raise errors.PoolAway(
            f"what is said of the image cannot be read: {error!r}",
            where=by.line.typed,
            fix="it may be of a later version: install that here, and type this again",
        ) from error
    return Offer(server, by, label, tuple(parts), str(told.get("network", paths.HOST)))


def bring(offer: Offer, engine: Engine, note: Note) -> None:
    """The engine has the image when this returns."""
    if _identity(engine, offer.label.name) == offer.label.id:
        note(f"{offer.label.name} is here already")
        return
    trouble = _given(offer, engine, note)
    if trouble is not None:  # an engine that cannot do with parts gets all of it
        whole = _whole(offer)
        note(f"the engine does not take it in parts: {trouble}")
        trouble = _given(whole, engine, note)
    if trouble is not None:
        raise errors.ImageMissing(
            f"the engine does not take the image: {trouble}",
            where=offer.label.name,
            fix="bring it here by a file: `evener image save` there, `docker load` here",
        )


def _whole(offer: Offer) -> Offer:
    client = Client(offer.server, offer.by.secret)
    try:
        told = client.call("POST", images.OFFER, {"stacks": []}, timeout_s=LOOK_S)
        found = _read(offer.server, offer.by, told)
    except (OSError, AnsweredError) as error:
        raise _broken(offer, error) from error
    return found or offer


def _identity(engine: Engine, image: str) -> str:
    with contextlib.suppress(errors.ImageMissing):
        return engine.call("image", "inspect", "--format={{.Id}}", image).strip()
    return ""


def _given(offer: Offer, engine: Engine, note: Note) -> str | None:
    """Why the engine does not have it now."""
    folder = contract.cache_folder() / "images" / house.joined_folder().name
    whole = folder / "image.tar"
    with archive.written(folder, f"free some space, or set {contract.CACHE_VARIABLE}; then again"):
        folder.mkdir(parents=True, exist_ok=True, mode=house.FOLDER_MODE)
        _fetch(offer, folder, note)
        parcel.put_together(offer.parts, folder, whole)
        note("giving it to the engine")
        try:
            archive.load(engine, whole)
        except (errors.DockerFailed, errors.ImageMissing) as error:
            return error.what
        finally:
            whole.unlink(missing_ok=True)
    if not _identity(engine, offer.label.name):
        return "it takes it, and does not have it"
    shutil.rmtree(folder, ignore_errors=True)
    return None


# ---------------------------------------------------------------------------------- the way


def _fetch(offer: Offer, folder: Path, note: Note) -> None:
    """Every part that is not here yet, from where it broke off."""
    wanted = {part.sha256: part.size for part in offer.parts if part.sha256}
    have = sum(_length(folder, sha256) for sha256 in wanted)
    note(f"fetching {units.show_size(sum(wanted.values()) - have)} of it, which are not here")
    progress = _Progress(sum(wanted.values()), note)
    address = replace(offer.server, path=images.PATH).text
    with contextlib.closing(Porter(address, offer.by.secret)) as porter:
        for sha256, size in wanted.items():
            target = folder / sha256
            if not target.is_file():
                _fetch_part(offer, porter, target, progress)
            progress.done(size)


def _fetch_part(offer: Offer, porter: Porter, target: Path, progress: _Progress) -> None:
    for _ in range(TRIES):
        _come(offer, porter, target, progress)
        if layout.digest(target) == target.name:
            return
        target.unlink()
    raise errors.StartFailed(
        "what comes of the image is not what it says: another hash, again and again",
        where=offer.label.name,
        fix=f"pack it anew there, by `evener up --image {offer.label.name}` or `evener image "
        f"serve {offer.label.name}`",
    )


def _come(offer: Offer, porter: Porter, target: Path, progress: _Progress) -> None:
    """One part, however often the way there is lost, as long as some of it comes each time."""
    known, deadline = 0, time.monotonic() + PATIENCE_S
    while True:
        try:
            porter.fetch_on(target.name, target, progress.heard)
            return
        except WrongCertificateError as error:
            raise entry.other_certificate(offer.by, str(error)) from error
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise
            have = _length(target.parent, target.name)
            if have > known:
                known, deadline = have, time.monotonic() + PATIENCE_S
            if time.monotonic() > deadline:
                raise _broken(offer, error) from error
        time.sleep(AGAIN_S)


def _length(folder: Path, sha256: str) -> int:
    """How much of that part is here, from an earlier try perhaps."""
    for file in (folder / sha256, folder / f".{sha256}.fetched"):
        if file.is_file():
            return file.stat().st_size
    return 0


def _broken(offer: Offer, error: Exception) -> errors.PoolAway:
    return errors.PoolAway(
        f"the image does not come: {error}",
        where=offer.label.name,
        fix="the same line again goes on where this was",
    )


class _Progress:
    """Tells now and then how much there is."""

    def __init__(self, total: int, note: Note) -> None:
        self._total, self._note, self._whole = total, note, 0
        self._told_at = time.monotonic()

    def heard(self, length: int) -> None:
        now = time.monotonic()
        if now - self._told_at > TELL_S:
            self._told_at = now
            have = units.show_size(self._whole + length)
            self._note(f"  {have} of {units.show_size(self._total)}")

    def done(self, size: int) -> None:
        self._whole += size
