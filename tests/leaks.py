"""The leak police: what a test may not leave behind, and how that is seen.

`look` takes a snapshot, `left_behind` says in sentences what was not there before. What is still
on its way out gets some time. Processes are known by descent and by a marker in the
environment, so that a detached grandchild is found as well. Where a system has no /proc, what
cannot be seen there is named in `blind_spots`, never passed over in silence.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
PROC = Path("/proc")
_FILES = "/proc/self/fd"
PATIENCE_S = 30.0  # on a busy machine an end takes long; only a leak takes all of it
# Not under evener's own prefix: the product strips that from what its children inherit.
MARKER = "PYTEST_SESSION_OF_EVENER"
SESSION = uuid.uuid4().hex
# pytest rewrites the first between a test and its teardown; torch sets the second when its first
# optimizer makes it import its compiler.
OWN_CHANGES = ("PYTEST_CURRENT_TEST", "TORCHINDUCTOR_CACHE_DIR")
# A thread of a library that Python only learnt of (autograd's workers) lives with the process, as
# does the one that looks after progress bars.
KNOWN_THREADS = ("Dummy-", "tqdm_monitor")
# Gloo may hold on to a broken group for as long as a collective may take; see rank.group. While
# one is held, nobody can tell its sockets from a test's.
HELD_GROUP = "group that did not let go"
HELD_FILES = ("socket:", "pipe:", "anon_inode:")
# Python starts the first once and keeps it: it frees shared memory after a crash. The others are
# the session's Docker engine, which a test may have restarted, and what holds its network; its
# containers are looked at.
KNOWN_PROCESSES = (
    "multiprocessing.resource_tracker",
    "dockerd --data-root",
    "containerd --config",
    "tail --follow /dev/null",
)
KNOWN_FILES = ("/dev/nvidia",)  # the driver keeps its devices open once CUDA was used
# What tools keep in the tree for themselves; git ignores all of it.
TOOL_FOLDERS = {
    ".git",
    ".venv",
    "__pycache__",
    ".mypy_cache",
    ".ruff_cache",
    ".import_linter_cache",
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
STARTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system"}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is there at one moment."""

    threads: frozenset[threading.Thread]
    pids: frozenset[int]
    files: frozenset[tuple[int, str]]
    environ: dict[str, str]
    cwd: str
    writes: int  # how many writes into the repository this process had made
    children: int  # how many processes it had started: they may have written there as well


_writes: list[str] = []
_children: list[str] = []
_tree: dict[str, tuple[int, int]] = {}  # the repository as last seen; only in CI


def start_watching() -> None:
    """Once a session: mark what will be started, and note every write into the repository."""
    os.environ[MARKER] = SESSION
    sys.addaudithook(_note_event)
    _look_at_tree()


def blind_spots() -> list[str]:
    """What the police cannot see on this system."""
    found = []
    if not PROC.is_dir():
        found.append("left-over processes and open files: this system has no /proc")
    if not os.environ.get("CI"):
        found.append("what child processes write into the repository (only with CI=1)")
    return found


def look() -> Snapshot:
    return Snapshot(
        threads=frozenset(threading.enumerate()),
        pids=frozenset(_pids()),
        files=frozenset(_files()),
        environ=_environ(),
        cwd=str(Path.cwd()),
        writes=len(_writes),
        children=len(_children),
    )


def left_behind(before: Snapshot, patience_s: float = PATIENCE_S) -> list[str]:
    """One sentence per leak. Waits while there is one: an end may take a moment."""
    deadline = time.monotonic() + patience_s
    pause_s = 0.005
    while found := _differences(before):
        gc.collect()  # what only garbage still holds is let go now
        if time.monotonic() > deadline:
            return found
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, 0.2)
    return []


def restore(before: Snapshot) -> None:
    """One test's leak must not become the next one's: end its processes, undo its changes."""
    for pid in _own_new_pids(before):
        # Gone meanwhile, or a grandchild, which is not ours to reap.
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    os.chdir(before.cwd)
    for name in _environ().keys() - before.environ.keys():
        del os.environ[name]
    os.environ.update(before.environ)
    _look_at_tree()


def _differences(before: Snapshot) -> list[str]:
    looks: tuple[Callable[[Snapshot], Iterator[str]], ...] = (
        _new_threads, _new_processes, _new_files, _changed_environ, _changed_cwd, _new_writes,
    )  # fmt: skip
    return [sentence for each in looks for sentence in each(before)]


def _new_threads(before: Snapshot) -> Iterator[str]:
    for thread in set(threading.enumerate()) - before.threads:
        if not thread.name.startswith((*KNOWN_THREADS, HELD_GROUP)):
            yield f"thread {thread.name!r} still runs: end and join it before the test is over"


def _new_processes(before: Snapshot) -> Iterator[str]:
    for pid in _own_new_pids(before):
        if _stat(pid)[0] == "Z":
            yield f"process {pid} has ended and nobody has waited for it"
        else:
            yield f"process {pid} still runs: {_command(pid) or 'a fork of the tests'}"


def _own_new_pids(before: Snapshot) -> list[int]:
    new = [p for p in _pids() - before.pids if _is_ours(p)]
    return [p for p in new if not any(known in _command(p) for known in KNOWN_PROCESSES)]


def _is_ours(pid: int) -> bool:
    if f"{MARKER}={SESSION}".encode() in _read(PROC / str(pid) / "environ"):
        return True
    while pid > 1:
        pid = _stat(pid)[1]
        if pid == os.getpid():
            return True
    return False


def _new_files(before: Snapshot) -> Iterator[str]:
    tracker = getattr(resource_tracker, "_resource_tracker", None)
    held = any(thread.name == HELD_GROUP for thread in threading.enumerate())
    known = KNOWN_FILES + (HELD_FILES if held else ())
    for number, target in sorted(_files() - before.files):
        if number != getattr(tracker, "_fd", None) and not target.startswith(known):
            yield f"file or socket {number} is still open: {target}"


def _changed_environ(before: Snapshot) -> Iterator[str]:
    now = _environ()
    for name in sorted(now.keys() | before.environ.keys()):
        if now.get(name) != before.environ.get(name):
            was, new = before.environ.get(name, "unset"), now.get(name, "unset")
            yield f"environment variable {name} changed: {was!r} became {new!r}"


def _changed_cwd(before: Snapshot) -> Iterator[str]:
    if str(Path.cwd()) != before.cwd:
        yield f"the current folder changed: {before.cwd} became {Path.cwd()}"


def _new_writes(before: Snapshot) -> Iterator[str]:
    for path in sorted(set(_writes[before.writes :])):
        yield f"written into the repository: {path}"
    if _tree and len(_children) > before.children:  # the look at all of it takes its time
        for path, stamp in sorted(set(_files_of_tree()) - _tree.items()):
            yield f"new or changed in the repository: {path} ({stamp[1]} bytes)"


# ----------------------------------------------------------------- what the system tells


def _environ() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k not in OWN_CHANGES}


def _pids() -> set[int]:
    """By plain names, as `_files` too: thousands of tests look, each twice."""
    with contextlib.suppress(OSError):
        return {int(name) for name in os.listdir(PROC) if name.isdigit()}  # noqa: PTH208
    return set()


def _stat(pid: int) -> tuple[str, int]:
    """State letter and parent; ("X", 0) for a process that is gone."""
    text = _read(PROC / str(pid) / "stat").decode(errors="replace")
    fields = text.rpartition(")")[2].split()
    return (fields[0], int(fields[1])) if len(fields) > 1 else ("X", 0)


def _command(pid: int) -> str:
    return _read(PROC / str(pid) / "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""  # the process ended, or is another user's


def _files() -> set[tuple[int, str]]:
    found = set[tuple[int, str]]()
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(_FILES):  # noqa: PTH208
            with contextlib.suppress(OSError):  # the one that lists the folder is gone again
                found.add((int(name), os.readlink(f"{_FILES}/{name}")))  # noqa: PTH115
    return found


def _look_at_tree() -> None:
    """Only in CI: elsewhere somebody may edit meanwhile."""
    if os.environ.get("CI"):
        _tree.clear()
        _tree.update(_files_of_tree())


def _files_of_tree() -> Iterator[tuple[str, tuple[int, int]]]:
    for folder, names, files in os.walk(ROOT):
        names[:] = [n for n in names if n not in TOOL_FOLDERS and not n.endswith(".egg-info")]
        for name in files:
            path = Path(folder, name)
            try:
                facts = path.stat()
            except OSError:
                continue  # removed while we walked
            yield str(path.relative_to(ROOT)), (facts.st_mtime_ns, facts.st_size)


def _note_event(event: str, args: tuple[Any, ...]) -> None:
    if event in STARTS:
        _children.append(event)
        return
    if event == "open":
        path, writing = args[0], bool(args[2] & WRITING)
    elif event == "sqlite3.connect":
        path, writing = _database(os.fsdecode(args[0])), True
    elif event == "os.mkdir":
        path, writing = args[0], True
    elif event == "os.rename":
        path, writing = args[1], True
    else:
        return
    if writing and isinstance(path, str | bytes | os.PathLike):
        _note_path(os.fsdecode(path))


def _database(name: str) -> str | None:
    """The file that SQLite would open for writing; an address may say that it must not."""
    if not name.startswith("file:"):
        return None if name in ("", ":memory:") else name
    address = urlsplit(name)
    return None if "mode=ro" in address.query else unquote(address.path)


def _note_path(path: str) -> None:
    # Path operations raise audit events of their own, but none of those that are noted.
    inside = os.path.relpath(os.path.abspath(path), ROOT)  # noqa: PTH100  (links stay unresolved)
    if not inside.startswith("..") and not TOOL_FOLDERS & set(Path(inside).parts):
        _writes.append(inside)
