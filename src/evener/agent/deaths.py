"""How a process ended, in words: by which signal, with which last line, for want of memory?"""

from __future__ import annotations

import contextlib
import re
import signal
from pathlib import Path

from evener.agent.child import Child
from evener.agent.ranks import RankProcess
from evener.probe.limits import PROC, group_folders

SIGKILL = getattr(signal, "SIGKILL", 9)
# Each counts what the kernel killed for want of memory: in our group, and on the whole machine.
_GROUP_FILES = (("", "memory.events"), ("memory", "memory.oom_control"))
_COUNT = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


class Inquest:
    """Why processes of this agent are gone."""

    def __init__(self) -> None:
        self._oom_kills = oom_kills()

    def of(self, process: RankProcess) -> tuple[str, bool]:
        """What it was, and whether it was for want of memory."""
        found = self.of_child(process.child)
        return (process.verdict, False) if process.verdict else found

    def of_child(self, child: Child) -> tuple[str, bool]:
        """The same of one that we did not end ourselves."""
        before, self._oom_kills = self._oom_kills, oom_kills()
        status = child.status
        out_of_memory = status == -SIGKILL and self._oom_kills > before
        tail = child.tail(1)
        return describe(status, tail[0] if tail else "", out_of_memory=out_of_memory), out_of_memory


def oom_kills(proc: Path = PROC) -> int:
    """A number that has risen when a process was killed for want of memory; 0 if none tells."""
    files = [next(group_folders(c, proc), proc) / name for c, name in _GROUP_FILES]
    return sum(_count(file) for file in (*files, proc / "vmstat"))


def describe(status: int, last_line: str, *, out_of_memory: bool) -> str:
    """Why a rank's process is gone, from its exit status as `subprocess` gives it."""
    if status < 0:
        reason = f"killed by {_signal_name(-status)}"
        if out_of_memory:
            reason += ": the system was out of memory"
        return reason
    reason = f"ended with status {status}"
    return f"{reason}: {last_line}" if last_line else reason


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _count(file: Path) -> int:
    with contextlib.suppress(OSError):
        match = _COUNT.search(file.read_text())
        return int(match[1]) if match else 0
    return 0
