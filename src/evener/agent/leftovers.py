"""What a script has started that outlives it: processes in sessions of their own, named once.

They are not ended, for nobody knows what they are for; those in a container end with it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Collection, Iterator
from importlib import import_module

from evener import contract
from evener.events import Alert

_SHOWN, _WORDS = 5, 60
_OURS = "evener.engine.torchrun"
_CONTAINER = 1  # the agent's own number there


def alert(run: str, own_groups: Collection[int]) -> Alert | None:
    """`run` is what its processes were told, `own_groups` are those that the agent ends itself."""
    if in_container():
        return None
    found = dict(_left(run, own_groups))
    if not found:
        return None
    named = ", ".join(f"{words} ({pid})" for pid, words in [*found.items()][:_SHOWN])
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    pids = " ".join(map(str, found))
    return Alert(
        "warning", f"what the script has started goes on without it: {named}{more}; kill {pids}"
    )


def in_container() -> bool:
    """Whether all that the agent's machine is ends with it."""
    return os.getpid() == _CONTAINER


def _left(run: str, own_groups: Collection[int]) -> Iterator[tuple[int, str]]:
    if sys.platform == "win32":  # which has no groups of processes: it cannot be told
        return
    psutil = import_module("psutil")
    for process in psutil.process_iter(["environ", "status", "cmdline"]):
        known = process.info
        if (known["environ"] or {}).get(contract.SCRIPT_VARIABLE) != run:
            continue
        with contextlib.suppress(OSError):  # it has ended just now
            lives = known["status"] != psutil.STATUS_ZOMBIE
            if lives and os.getpgid(process.pid) not in own_groups:
                yield process.pid, _named(known["cmdline"] or [])


def _named(words: list[str]) -> str:
    """One that was only forked is called as the script's own process is."""
    return "a fork of the script" if _OURS in words else " ".join(words)[:_WORDS]
