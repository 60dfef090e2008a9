"""A process that an agent owns: in a session of its own, its end noticed at once, no orphans.

A session of its own keeps a terminal's Ctrl-C from reaching it, and gathers what it starts
itself (a rank's loader workers) in one process group, which is killed when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evener import contract, errors

_TAIL_BYTES = 16_384
LOOK_S = 0.25  # a look takes an agent as long as all that it does besides in a tick


@dataclass(frozen=True, slots=True)
class Programs:
    """What an agent starts. -P: no file of the user's folder stands in for a module."""

    rank: tuple[str, ...] = (sys.executable, "-P", "-m", "evener.engine")
    prepare: tuple[str, ...] = (sys.executable, "-P", "-m", "evener.data.prepare")
    script: tuple[str, ...] = (sys.executable, "-P", "-m", "evener.engine.torchrun")


class Child:
    """Started on construction, by the loop's own thread: it dies with that thread (`lifeline`).

    `on_end` is called in the loop, once, as soon as the process has ended and is reaped. It reads
    nothing, unless it is given something to read from.
    """

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        on_end: Callable[[Child], None],
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        self.follow(log)
        self._process = _spawn(argv, env, log, stdin)
        self.pid = self._process.pid
        self.ended = False
        self._suspended, self._look_due = False, 0.0
        self._loop = asyncio.get_running_loop()
        self._on_end = on_end
        self._reaping = threading.Lock()
        self._reaped = False
        self._waiter = threading.Thread(target=self._wait, name=f"wait {self.pid}", daemon=True)
        self._waiter.start()

    @property
    def status(self) -> int:
        """The exit status, negative for a signal, once it has ended."""
        assert self._process.returncode is not None
        return self._process.returncode

    def kill(self) -> None:
        """SIGKILL for it and all it started. Harmless when it has ended."""
        with self._reaping:
            if not self._reaped:
                self._kill_group()

    def terminate(self) -> None:
        """Ask it to end: it alone, whatever it has started."""
        with self._reaping, contextlib.suppress(OSError):
            if not self._reaped:
                self._process.terminate()

    def dump_stack(self) -> None:
        """Ask for the stacks of its threads, in its log: nothing, where systems cannot ask."""
        if sys.platform != "win32":
            with self._reaping, contextlib.suppress(ProcessLookupError):
                if not self._reaped:
                    os.kill(self.pid, getattr(signal, contract.STACK_SIGNAL))

    def follow(self, log: Path) -> None:
        """From now on the process writes to the end of `log`."""
        self.log = log
        self._log_start = log.stat().st_size if log.exists() else 0

    @property
    def suspended(self) -> bool:
        """Whether somebody has stopped it (SIGSTOP), as of some moments ago. Only Linux tells."""
        now = time.monotonic()
        if now >= self._look_due:
            self._look_due, self._suspended = now + LOOK_S, _is_stopped(self.pid)
        return self._suspended and not self.ended

    def tail(self, lines: int) -> list[str]:
        """The last lines of this process's part of the log, empty ones left out."""
        with contextlib.suppress(OSError), self.log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(self._log_start, size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
            return [line for line in text.splitlines() if line.strip()][-lines:]
        return []

    def _wait(self) -> None:
        """Group first, then reap: as long as the dead process is not reaped, its id is taken."""
        if sys.platform == "linux":
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            with self._reaping:
                self._kill_group()
                self._process.wait()
                self._reaped = True
        else:
            self._process.wait()
            self._reaped = True
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants to know
            self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self.ended = True
        self._on_end(self)

    def _kill_group(self) -> None:
        if sys.platform == "win32":
            self._process.kill()
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


def _is_stopped(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] == "T"


def _spawn(
    argv: Sequence[str], env: Mapping[str, str], log: Path, stdin: int
) -> subprocess.Popen[bytes]:
    options: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        options = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    try:
        with log.open("ab") as file:
            return subprocess.Popen(argv, env=env, stdin=stdin, stdout=file, stderr=file, **options)
    except OSError as error:
        raise errors.StartFailed(
            f"a process of the run cannot be started: {error}",
            where=str(argv[0]),
            fix="free memory, processes or disk space on this machine",
        ) from error
