"""How a process learns that it must end: its parent is gone, or the machine it is on goes."""

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


def end_on(signal_name: str, status: int) -> None:
    """End with `status` on that signal until something better hears it.

    The first process of a container is not ended by a signal that it does not ask for. Where
    systems have no such signal nobody sends it.
    """
    number = getattr(signal, signal_name, None)
    if number is not None:
        signal.signal(number, lambda *_: sys.exit(status))
