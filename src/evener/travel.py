"""Values as JSON carries them: what is not finite as null, tuples as lists; and whether one that
has arrived is of the type that its field declares."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any


def finite(value: Any) -> Any:
    """As it leaves: a copy."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [finite(v) for v in value]
    return value


def read(value: Any, hint: str) -> Any:
    """JSON's lists are our tuples; its null, where a number must stand, was not finite."""
    if hint == "float" and value is None:
        return math.nan
    if hint == "dict[str, float]" and isinstance(value, dict):
        return {k: math.nan if v is None else v for k, v in value.items()}
    if hint == "tuple[float, ...]" and isinstance(value, list):
        return tuple(math.nan if v is None else v for v in value)
    return tuple(value) if isinstance(value, list) else value


def fits(value: Any, hint: str) -> bool:
    return _FITS[hint](value)


def whole(value: Any) -> bool:
    return isinstance(value, int) and -(2**63) <= value < 2**63  # what SQLite holds


def _real(value: Any) -> bool:
    return isinstance(value, float) or whole(value)


def _table(value: Any) -> bool:
    return isinstance(value, dict)


_FITS: dict[str, Callable[[Any], bool]] = {
    "str": lambda v: isinstance(v, str),
    "bool": lambda v: isinstance(v, bool),
    "int": whole,
    "float": _real,
    "int | None": lambda v: v is None or whole(v),
    "float | None": lambda v: v is None or _real(v),
    "tuple[int, ...]": lambda v: isinstance(v, tuple) and all(map(whole, v)),
    "tuple[float, ...]": lambda v: isinstance(v, tuple) and all(map(_real, v)),
    "dict[str, float]": lambda v: _table(v) and all(map(_real, v.values())),
    "dict[str, Any]": _table,
    "dict[str, Any] | None": lambda v: v is None or _table(v),
}
