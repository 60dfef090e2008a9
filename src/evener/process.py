"""Processes that are not our children: whether one is still the one we started, and its end."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
import subprocess
import sys
from pathlib import Path

_BREAK = getattr(signal, "CTRL_BREAK_EVENT", None)  # all that Windows has to send
_STOP, _TERMINATE = _BREAK or signal.SIGINT, _BREAK or signal.SIGTERM
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # which there ends a process at once
_DEAD_STATES = "ZXx"


def birth(pid: int) -> str | None:
    """When `pid` was born, in words that never change; None for a process that has ended.

    A pid is used again one day, a pid with its birth is not.
    """
    if sys.platform == "linux":
        return _linux_birth(pid)
    if sys.platform == "win32":
        return _windows_birth(pid)
    return _posix_birth(pid)


def send(pid: int, born: str, number: int) -> bool:
    """Signal the process if it is still the one; False if it has ended."""
    if birth(pid) != born:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False


def stop(pid: int, born: str) -> bool:
    """An agent stops its run."""
    return send(pid, born, _STOP)


def terminate(pid: int, born: str) -> bool:
    """An agent leaves its run, a head ends."""
    return send(pid, born, _TERMINATE)


def kill(pid: int, born: str) -> bool:
    return send(pid, born, _KILL)


def _linux_birth(pid: int) -> str | None:
    """Ticks since boot; the boot's own name keeps last week's ticks apart from today's."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in _DEAD_STATES else f"{_boot()} {fields[19]}"


@functools.cache
def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _posix_birth(pid: int) -> str | None:
    done = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
        env={"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath},
        capture_output=True,
        text=True,
    )
    state, _, started = done.stdout.strip().partition(" ")
    return started.strip() if started and state[0] not in _DEAD_STATES else None


def _windows_birth(pid: int) -> str | None:
    """The creation time that the kernel keeps; an exit code other than 259 means it has ended."""
    kernel = ctypes.CDLL("kernel32")
    kernel.OpenProcess.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(kernel.OpenProcess(0x1000, False, pid))  # query limited information
    if not handle:
        return None
    try:
        code = ctypes.c_uint32()
        times = [ctypes.c_uint64() for _ in range(4)]
        kernel.GetExitCodeProcess(handle, ctypes.byref(code))
        kernel.GetProcessTimes(handle, *(ctypes.byref(t) for t in times))
        return str(times[0].value) if code.value == 259 else None
    finally:
        kernel.CloseHandle(handle)
