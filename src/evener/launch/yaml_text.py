"""Pieces of YAML as people would write it, for files that Docker reads. Decides only."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

_PLAIN = re.compile(r"[A-Za-z/.][A-Za-z0-9_/.:-]*(?<!:)")
_NOT_PLAIN = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}  # YAML has its ideas


def shared(tables: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """What all of them say alike."""
    first, *others = tables
    return {k: v for k, v in first.items() if all(other.get(k) == v for other in others)}


def without(table: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in table.items() if k not in known}


def entries(env: Mapping[str, str], indent: int) -> list[str]:
    return lines({k: scalar(v) for k, v in sorted(env.items())}, indent)


def lines(table: Mapping[str, str], indent: int) -> list[str]:
    return [f"{' ' * indent}{key}: {value}" for key, value in table.items()]


def command(module: str, *arguments: str) -> str:
    words = ("python", "-P", "-m", module, *arguments)
    return f"[{', '.join(w if w.startswith('-') else scalar(w) for w in words)}]"


def scalar(text: str) -> str:
    """`text` as YAML reads it back, with no variable for Docker to fill in."""
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_PLAIN:
        return text
    return json.dumps(text, ensure_ascii=False).replace("$", "$$")


def in_default(text: str) -> str:
    """Inside of "${NAME:-...}"."""
    return json.dumps(text, ensure_ascii=False)[1:-1].replace("$", "$$")
