"""One process of all that share a folder does a thing; the others wait for it to be done.

A lock is a file. Its holder touches it now and then, so a lock whose holder died, on this machine
or on another, is known by its stillness and taken over; on this machine also by the missing
process. Two that take over in the same instant could both go on: whatever is done under a lock
must therefore end in an atomic rename, so that a lock saves work but never guards correctness.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_TOUCH_S = 2.0
_STILL_S = 20.0  # ten touches missed: its holder is gone or frozen
_LOOK_S = 0.1


@contextmanager
def hold(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock file `path`. `waiting` is called now and then while another holds it.

    Waits as long as the other lives and works: it is doing what we need done.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = f"{socket.gethostname()} {os.getpid()} {time.monotonic_ns()}"
    _acquire(path, mark, waiting)
    ended = threading.Event()
    toucher = threading.Thread(target=_touch, args=(path, ended), name=f"lock {path.name}")
    toucher.start()
    try:
        yield
    finally:
        ended.set()
        toucher.join()
        if _read(path) == mark:
            path.unlink(missing_ok=True)


def _acquire(path: Path, mark: str, waiting: Callable[[], None] | None) -> None:
    seen, since = (-1, ""), time.monotonic()
    while not _create(path, mark):
        now = (_changed_ns(path), _read(path))
        if now != seen:
            seen, since = now, time.monotonic()
        if _holder_is_gone(now[1]) or time.monotonic() - since > _STILL_S:
            _take_away(path, now[1])
            continue
        if waiting is not None:
            waiting()
        time.sleep(_LOOK_S)


def _create(path: Path, mark: str) -> bool:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(mark)
    except FileExistsError:
        return False
    except PermissionError:
        if sys.platform != "win32" or not path.exists():
            raise
        return False  # Windows: the file is just being deleted
    return True


def _take_away(path: Path, mark: str) -> None:
    """Remove a dead holder's file, but not the one that a quicker successor just made."""
    aside = path.with_name(f"{path.name}.{os.getpid()}.stale")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return  # its holder, or another waiter, was quicker
    if _read(aside) != mark and not path.exists():
        aside.rename(path)
    aside.unlink(missing_ok=True)


def _holder_is_gone(mark: str) -> bool:
    host, _, rest = mark.partition(" ")
    pid = rest.partition(" ")[0]
    if host != socket.gethostname() or not pid.isdigit() or sys.platform == "win32":
        return False  # Windows has no harmless way to ask; stillness will tell
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False  # somebody else's process lives
    return False


def _touch(path: Path, ended: threading.Event) -> None:
    while not ended.wait(_TOUCH_S):
        try:
            os.utime(path)
        except OSError:
            return  # taken from us, or the folder is gone: the rename decides


def _changed_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return -1


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError:
        return ""
