"""A process that asked to die with its parent does."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys

import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux's kernel tells of a parent's death")
def test_the_kernel_is_asked() -> None:
    code = (
        "import ctypes; from evener.lifeline import die_with_parent; die_with_parent();"
        "asked = ctypes.c_int(); ctypes.CDLL(None).prctl(2, ctypes.byref(asked), 0, 0, 0);"
        "print(asked.value)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == signal.SIGKILL


def test_who_does_not_ask_is_not_bound() -> None:
    if sys.platform == "linux":
        asked = ctypes.c_int(99)
        ctypes.CDLL(None).prctl(2, ctypes.byref(asked), 0, 0, 0)
        assert asked.value == 0
