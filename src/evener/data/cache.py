"""Where downloads and what was computed from data are kept, for all runs of a person."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from evener import contract
from evener.data import lock
from evener.errors import DataDamaged, DiskFull, NotPermitted

_FORMAT = "1"  # of every entry; another one makes all of them anew
_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))  # Windows has no quota error
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def entry(kind: str, identity: tuple[str, ...], fill: Callable[[Path], None]) -> Path:
    """The folder that `fill` fills from what `identity` names: made once, whole or not at all.

    A process killed in the middle leaves a hidden folder that the next one removes.
    """
    name = hashlib.sha256("\0".join((_FORMAT, *identity)).encode()).hexdigest()[:32]
    folder = contract.cache_folder() / kind / name
    if folder.is_dir():
        return folder
    with refusals(folder), lock.hold(folder.with_name(f"{name}.lock")):
        if not folder.is_dir():
            _make(folder, fill)
    return folder


def of_file(path: Path) -> str:
    """What changes when a file does, without reading it."""
    facts = path.stat()
    return f"{path.absolute()} {facts.st_size} {facts.st_mtime_ns}"


@contextmanager
def refusals(place: Path) -> Iterator[None]:
    """Turn what the system refuses, at `place` if it does not say, into what a person can do."""
    try:
        yield
    except OSError as error:
        where = str(error.filename or place)
        what = f"{where} cannot be read or written: {error.strerror or error}"
        if error.errno in _FULL:
            fix = f"make room, or set {contract.CACHE_VARIABLE} to a folder on another disk"
            raise DiskFull("no space is left on the disk", where=where, fix=fix) from error
        if error.errno in _FORBIDDEN:
            fix = f"allow it, or set {contract.CACHE_VARIABLE} to a folder of your own"
            raise NotPermitted(what, where=where, fix=fix) from error
        raise DataDamaged(
            what, where=where, fix="check the path, the disk and its mount"
        ) from error


def _make(folder: Path, fill: Callable[[Path], None]) -> None:
    for left_over in folder.parent.glob(f".{folder.name}.*"):
        shutil.rmtree(left_over, ignore_errors=True)
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}")
    unfinished.mkdir(parents=True)
    try:
        fill(unfinished)
        for file in unfinished.iterdir():
            with file.open("r+b") as open_file:
                os.fsync(open_file.fileno())
        if not folder.is_dir():  # else another was quicker, against the lock
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
