"""How long and how many things in the state may be, and what passes for a number in it."""

from __future__ import annotations

from typing import Any

# More would be nonsense or harm.
RANKS, MACHINES, METRICS, TEXT_CHARACTERS = 1024, 256, 64, 4000
GPUS = 16  # of a machine


def cut(text: str) -> str:
    return text if len(text) <= TEXT_CHARACTERS else text[:TEXT_CHARACTERS] + "…"


def cut_all(error: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if error is None else {k: cut(str(v)) for k, v in list(error.items())[:METRICS]}


def listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def number(value: Any) -> float:
    found = known(value)
    return 0.0 if found is None else found


def known(value: Any) -> float | None:
    """A number that was measured, or None."""
    fits = isinstance(value, int | float) and abs(value) < 2**63
    return value if fits else None
