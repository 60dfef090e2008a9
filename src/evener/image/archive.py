"""An image as a file: saved from one engine, and given to another, which may have parts of it."""

from __future__ import annotations

import contextlib
import errno
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evener import errors
from evener.docker import Engine
from evener.image import build, ferry

MOVE_S = 3600.0  # gigabytes, to a slow disk


@dataclass(frozen=True, slots=True)
class Saved:
    """`left_out` is how many of the image's `layers` are not in it."""

    size_bytes: int
    layers: int
    left_out: int


def stacks(engine: Engine) -> list[list[str]]:
    """The layers of each image that is there."""
    ids = dict.fromkeys(engine.call("image", "ls", "--quiet", "--no-trunc").split())
    return build.layers_of(engine, [*ids])


def save(engine: Engine, image: str, file: Path, without: Sequence[str] = ()) -> Saved:
    """Into `file`, whole or not at all; but for the layers that one of `without` has too."""
    layers = _layers(engine, image)
    others = [_layers(engine, each) for each in without]
    beside, lean = (file.with_name(f".{file.name}.{part}") for part in ("saving", "lean"))
    try:
        with written(file, "name another place: evener image save IMAGE FILE"):
            beside.touch(0o600)  # what is wrong with the place is said in our words
            engine.call("image", "save", "--output", str(beside), image, timeout_s=MOVE_S)
            if others:
                with tarfile.open(beside) as whole, tarfile.open(lean, "w") as made:
                    ferry.ship(whole, others, made)
                lean.replace(beside)
            beside.replace(file)
            size = file.stat().st_size
    finally:
        for each in (beside, lean):
            each.unlink(missing_ok=True)
    return Saved(size, len(layers), ferry.shared(layers, others))


def load(engine: Engine, file: Path) -> list[str]:
    """Its names, once the engine has it."""
    told = _contents(file)
    missing = [n for n, name in enumerate(told.files) if name not in told.present]
    if missing and missing[-1] >= ferry.shared(told.layers, stacks(engine)):
        raise errors.ImageMissing(
            f"{file.name} has {len(told.files) - len(missing)} of {len(told.files)} layers: the "
            "others were left out when it was saved, and are not on this engine",
            where=str(file),
            fix="load the image first that it was saved without; or save it again, whole: "
            "evener image save IMAGE FILE",
        )
    engine.call("image", "load", "--quiet", "--input", str(file), timeout_s=MOVE_S)
    return told.names


@dataclass(frozen=True, slots=True)
class _Contents:
    """What an archive says that it has: layers and the files they lie in, the lowest first."""

    names: list[str]
    layers: list[str]
    files: list[str]
    present: frozenset[str]  # of all its files


def _contents(file: Path) -> _Contents:
    try:
        with tarfile.open(file) as archive:
            present = frozenset(archive.getnames())
            told = ferry.manifest(archive)
            return _Contents([*(told["RepoTags"] or ())], *ferry.layers_of(archive), present)
    except OSError as error:
        raise errors.DataMissing(
            f"this file cannot be read: {error.strerror or error}", where=str(file), fix=_OTHER
        ) from error
    except (tarfile.TarError, ValueError, KeyError, EOFError) as error:
        why = str(error).partition(":")[0] or "it has no list of contents"
        raise errors.DataDamaged(
            f"this is no image, or not all of it: {why}", where=str(file), fix=_OTHER
        ) from error


_OTHER = "name a file that `evener image save` or `docker image save` has written"


def _layers(engine: Engine, image: str) -> list[str]:
    found: dict[str, Any] = build.look(engine, image)["RootFS"]
    return found.get("Layers") or []


@contextlib.contextmanager
def written(path: Path, fix: str) -> Iterator[None]:
    """Says what keeps us from writing there."""
    try:
        yield
    except OSError as error:
        kind = errors.DiskFull if error.errno == errno.ENOSPC else errors.NotPermitted
        what = f"{path.name} cannot be written: {error.strerror or error}"
        raise kind(what, where=str(path), fix=fix) from error
