"""evener trains a PyTorch model on unequal machines as one. This is the host's door.

Nothing here imports torch, and nothing heavy is imported before it is asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evener.api import RunRequest, prepare, run, start_run, stop_run
    from evener.config.load import load_job
    from evener.errors import EvenerError
    from evener.watch import follow, look

    __version__: str

_DOORS = {
    "EvenerError": "evener.errors",
    "RunRequest": "evener.api",
    "follow": "evener.watch",
    "load_job": "evener.config.load",
    "look": "evener.watch",
    "prepare": "evener.api",
    "run": "evener.api",
    "start_run": "evener.api",
    "stop_run": "evener.api",
}

__all__ = [
    "EvenerError",
    "RunRequest",
    "__version__",
    "follow",
    "load_job",
    "look",
    "prepare",
    "run",
    "start_run",
    "stop_run",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("evener.versions").EVENER
    if name in _DOORS:
        return getattr(importlib.import_module(_DOORS[name]), name)
    raise AttributeError(f"module 'evener' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
