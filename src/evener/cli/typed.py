"""Words of a command as a shell here takes them: sh; on Windows PowerShell and cmd alike."""

from __future__ import annotations

import re
import shlex
import sys

_PLAIN = re.compile(r"[A-Za-z0-9_./\\:=+-]+")
ON_WINDOWS = sys.platform == "win32"


def typed(*words: str, windows: bool = ON_WINDOWS) -> str:
    """Single quotes mean nothing to cmd, double ones the same to both: no file there has one in
    its name."""
    if not windows:
        return shlex.join(words)
    return " ".join(word if _PLAIN.fullmatch(word) else f'"{word}"' for word in words)
