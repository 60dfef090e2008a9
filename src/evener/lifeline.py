"""How a child process learns that its parent is gone: on Linux the kernel tells it."""

from __future__ import annotations

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel to kill this process when the thread that started it ends.

    Linux only, and deaf to a parent that died before the call; there, and elsewhere, a process
    of a run notices that the connection or pipe to its parent is closed.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
