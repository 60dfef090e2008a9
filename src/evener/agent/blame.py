"""Why a script's process ended: what it failed of as an error to read, and whose fault that was.

When one process dies the others' collectives fail: what they say then is an echo, not a cause.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evener import contract, errors, usercode
from evener.errors import EvenerError

_ABORTED = -getattr(signal, "SIGABRT", 6)  # how NCCL's watchdog ends a process
# What Gloo, NCCL and the store say when somebody else is gone.
_ECHO = re.compile(
    r"connection (?:closed|reset|refused)|broken pipe|socket (?:timeout|closed)|peer|"
    r"remote process exited|failed to recv|recvvalue failed|sendbytes failed|"
    r"nccl (?:error|communicator was aborted)|time[sd]? ?out|client socket has timed",
    re.IGNORECASE,
)
_DISTRIBUTED = {"DistBackendError", "DistNetworkError", "DistStoreError", "RuntimeError"}
_DISTRIBUTED |= {"ConnectionError", "ConnectionResetError", "BrokenPipeError", "TimeoutError"}
_DISTRIBUTED |= {"DistError", "ConnectionRefusedError", "EOFError"}
_NO_NCCL = re.compile(
    r"doesn't have NCCL built in|ProcessGroupNCCL is only supported with GPUs|"
    r"without NCCL|NCCL backend .* not available",
    re.IGNORECASE,
)
_NO_CUDA = re.compile(
    r"Torch not compiled with CUDA|No CUDA GPUs are available|Found no NVIDIA driver|"
    r"invalid device ordinal|no NVIDIA GPU|torch\._C' has no attribute '_cuda_|"
    r"accelerator device when none is available",
    re.IGNORECASE,
)
_NO_TERMINAL = re.compile(r"Inappropriate ioctl|/dev/tty|termios|curses|not a (?:tty|terminal)")
_OUT_OF_MEMORY = {"OutOfMemoryError", "MemoryError"}


@dataclass(frozen=True, slots=True)
class Failure:
    """`echo`: others are to blame, if anybody is."""

    error: EvenerError
    echo: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return self.error.code, self.error.where


def of(status: int, word: dict[str, Any], tail: Sequence[str], log: Path) -> Failure:
    """Of a process that ended with `status`; `word` is what it left of an exception."""
    text = str(word.get("text", ""))
    if word:
        echo = word.get("type") in _DISTRIBUTED and bool(_ECHO.search(text))
        return Failure(_raised(word, log), echo)
    if is_abort(status):
        return Failure(_ended("was aborted", tail, log), echo=True)
    return Failure(_ended(f"ended with status {status}", tail, log))


def is_abort(status: int) -> bool:
    """Libraries end a process so that have lost sight of another."""
    return status == _ABORTED


def word_left(file: Path) -> dict[str, Any]:
    """What a process has left there, which is taken away."""
    with contextlib.suppress(OSError, ValueError):
        said = json.loads(file.read_text(encoding="utf-8"))
        file.unlink()
        return said if isinstance(said, dict) else {}
    return {}


def _ended(how: str, tail: Sequence[str], log: Path) -> EvenerError:
    lines = "".join(f"\n    {line}" for line in tail)
    return errors.ScriptFailed(
        f"the script {how}{lines}", where=str(log), fix="its log has all that it printed"
    )


def _raised(word: dict[str, Any], log: Path) -> EvenerError:
    kind, text, where = (str(word.get(k, "")) for k in ("type", "text", "where"))
    first = text.strip().splitlines()[0] if text.strip() else ""
    said = f"{kind}: {first}" if first else kind
    if module := str(word.get("module") or ""):
        return usercode.not_installed(module, where)
    if _NO_NCCL.search(text):
        return errors.DeviceMissing(
            "the script asks for the backend nccl, which works between NVIDIA GPUs only, and this "
            f"rank has none ({first})",
            where=where,
            fix='init_process_group() without a backend takes what fits, "gloo" works everywhere',
        )
    if _NO_CUDA.search(text):
        return errors.DeviceMissing(
            f"the script asks for a GPU that this rank has not ({said})",
            where=where,
            fix="let it look at torch.cuda.is_available(), or at LOCAL_RANK for which GPU is its "
            "own; `--nproc` is not to be above the GPUs there are",
        )
    if kind in _OUT_OF_MEMORY:
        fix = "a smaller batch or model in the script, or a machine with more memory"
        return errors.OutOfMemory(said, where=where, fix=fix)
    return errors.CodeRaised(f"the script raised {said}", where=where, fix=_fix(word, kind, log))


def _fix(word: dict[str, Any], kind: str, log: Path) -> str:
    if kind == "EOFError":
        return "nobody is there to type: give it by an argument what it asks for (after `--`)"
    if _NO_TERMINAL.search(f"{kind} {word.get('text')} {word.get('file')}"):
        return (
            "there is no terminal where it runs: let it ask sys.stdout.isatty() before it uses one"
        )
    if word.get("errno") in (errno.EROFS, errno.EACCES, errno.EPERM):
        return "it may write in the folder it runs in, by a relative path, and in /tmp"
    if word.get("errno") == errno.ENOENT and _runs_in_copy(word, log):
        missing = Path(str(word.get("file")))
        named = missing.parent if missing.parent.name else missing
        return (
            "it runs in a copy of its folder, without what .gitignore and .dockerignore name and "
            f'what lies elsewhere: script.reads = ["{named}"] has it there'
        )
    return f"mend the script; the traceback is in {log}"


def _runs_in_copy(word: dict[str, Any], log: Path) -> bool:
    """Beside the run's logs, as it does in containers and on other machines."""
    return str(word.get("where")).startswith(f"{log.parent.parent / contract.WORK}{os.sep}")
