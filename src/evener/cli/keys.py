"""Single keys of a terminal, without Enter; it is given back as it was, whatever happens.

Ctrl-C stays what it is: a signal. Where standard input is no terminal there are no keys.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import Protocol

if sys.platform == "win32":
    import msvcrt
else:
    import select
    import termios

GONE = "gone"  # the terminal was closed
REST_S = 0.05  # what belongs to one key comes at once, also over a slow line
_POLL_S = 0.02
_CHUNK_BYTES = 1024
_BEGUN = re.compile(rb"\x1b(?:\[[0-9;]*|O)?\Z")
_WHOLE = re.compile(rb"\x1b(?:\[[0-9;]*[@-~]|O[@-~])")
_NAMES = {
    b"\x1b[A": "up", b"\x1b[B": "down", b"\x1b[5~": "page up", b"\x1b[6~": "page down",
    b"\x1b[H": "home", b"\x1b[F": "end", b"\x1b[1~": "home", b"\x1b[4~": "end",
    b"\x1bOA": "up", b"\x1bOB": "down", b"\x1bOH": "home", b"\x1bOF": "end",
}  # fmt: skip
_WINDOWS_NAMES = {
    "H": "up", "P": "down", "I": "page up", "Q": "page down", "G": "home", "O": "end",
}  # fmt: skip


class Keys(Protocol):
    """Where keys come from."""

    def read(self, timeout_s: float) -> str:
        """The next key: a character, or a name as "page up"; "" where none comes in time."""
        ...


@contextlib.contextmanager
def opened() -> Iterator[Keys]:
    """The keys of the terminal that is standard input."""
    if not sys.stdin.isatty():
        yield _NoKeys()
    elif sys.platform == "win32":
        yield _Windows()
    else:
        with _unbuffered(sys.stdin.fileno()) as terminal:
            yield _Posix(terminal)


def decode(data: bytes) -> tuple[list[str], bytes]:
    """The keys in what a terminal sent, and the beginning of one whose end is still to come."""
    keys: list[str] = []
    while data:
        if _BEGUN.match(data):
            return keys, data
        sequence = _WHOLE.match(data)
        if sequence:
            key, length = _NAMES.get(sequence[0], ""), sequence.end()
        else:
            key, length = chr(data[0]) if 0x20 <= data[0] < 0x7F else "", 1
        keys += [key] if key else []
        data = data[length:]
    return keys, b""


class _NoKeys:
    def read(self, timeout_s: float) -> str:
        time.sleep(max(timeout_s, 0.0))
        return ""


if sys.platform == "win32":

    class _Windows:
        """The console hands out keys one by one; it cannot be waited for."""

        def read(self, timeout_s: float) -> str:
            deadline = time.monotonic() + timeout_s
            while not msvcrt.kbhit():
                if time.monotonic() >= deadline:
                    return ""
                time.sleep(_POLL_S)
            key = msvcrt.getwch()
            return _WINDOWS_NAMES.get(msvcrt.getwch(), "") if key in ("\x00", "\xe0") else key

else:

    class _Posix:
        def __init__(self, terminal: int) -> None:
            self._terminal = terminal
            self._ready: deque[str] = deque()
            self._rest = b""

        def read(self, timeout_s: float) -> str:
            deadline = time.monotonic() + timeout_s
            while not self._ready:
                wait_s = max(deadline - time.monotonic(), 0.0)
                if not self._comes(REST_S if self._rest else wait_s):
                    self._rest = b""  # Escape by itself, which means nothing here
                    return ""
                self._take()
            return self._ready.popleft()

        def _comes(self, timeout_s: float) -> bool:
            return bool(select.select([self._terminal], [], [], timeout_s)[0])

        def _take(self) -> None:
            try:
                data = os.read(self._terminal, _CHUNK_BYTES)
            except OSError:
                data = b""
            keys, self._rest = decode(self._rest + data)
            self._ready.extend(keys if data else [GONE])

    @contextlib.contextmanager
    def _unbuffered(terminal: int) -> Iterator[int]:
        """Keys come at once and unseen. Ctrl-Z has no meaning meanwhile: it would leave the shell
        a terminal in this state. What was typed and not read is forgotten, or the shell ran it."""
        before = termios.tcgetattr(terminal)
        changed = termios.tcgetattr(terminal)
        changed[3] &= ~(termios.ICANON | termios.ECHO)
        changed[6][termios.VMIN], changed[6][termios.VTIME] = 1, 0
        changed[6][termios.VSUSP] = bytes([os.fpathconf(terminal, "PC_VDISABLE")])
        try:
            termios.tcsetattr(terminal, termios.TCSADRAIN, changed)
            yield terminal
        finally:
            with contextlib.suppress(termios.error):  # the terminal itself is gone
                termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
