"""The head lets ranks go first: a step waits for the slowest of them, and nobody for the head."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

NICE, LOWEST = 5, 19  # a third of a rank's weight: behind one, and still there for who opens a page
AUTOGROUP = Path("/proc/self/autogroup")


def step_aside(autogroup: Path = AUTOGROUP) -> None:
    """Of threads that start from now on as well. Systems without such an order stay as they are.

    Linux may weigh whole sessions against each other, and a process only within its own: then the
    session of a head that leads one goes behind.
    """
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError, ValueError):
        os.nice(NICE)
        if os.getsid(0) == os.getpid():
            nice = int(autogroup.read_text().split()[-1])  # "/autogroup-7 nice 0"
            autogroup.write_text(str(min(nice + NICE, LOWEST)))
