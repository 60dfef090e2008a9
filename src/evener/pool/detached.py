"""A pool's process that outlives the terminal: in a session of its own, its words in a log."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evener import contract
from evener.rundir import layout

_TAIL_LINES = 6


@dataclass(frozen=True, slots=True)
class Started:
    process: subprocess.Popen[bytes]
    log: Path
    log_start: int

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def where(self) -> str:
        return str(self.log)

    def last_words(self) -> str:
        with self.log.open("rb") as file:
            file.seek(self.log_start)
            lines = file.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
        return "".join(f"\n    {line}" for line in lines)


def start(what: str, log: Path) -> Started:
    """`python -m evener.pool WHAT`."""
    with layout.translated(log):
        log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        size = log.stat().st_size if log.exists() else 0
        options: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
            options = {"creationflags": flags}
        with log.open("ab") as file:
            process = subprocess.Popen(
                (sys.executable, "-P", "-m", "evener.pool", what),
                env=contract.inherited_environ(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                **options,
            )
    return Started(process, log, size)
