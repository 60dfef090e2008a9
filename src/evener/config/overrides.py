"""`-o train.lr=3e-4`: one key of the job set, or taken out, on the command line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from evener.config.locate import Path
from evener.errors import BadOverride

_KEY = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


@dataclass(frozen=True, slots=True)
class Override:
    """`removes`: nothing stood after the `=`, so that the key's default holds again."""

    path: Path  # a number is a place in a list of tables: machines.0.cpus
    value: Any
    text: str  # as it was typed

    @property
    def removes(self) -> bool:
        return not self.text.partition("=")[2].strip()


def parse(text: str) -> Override:
    key, equals, value = text.partition("=")
    key = key.strip()
    where = f"-o {text}"
    if not equals:
        raise BadOverride(f"{text!r} sets nothing", where=where, fix=f"write -o {key}=VALUE")
    if not _KEY.fullmatch(key):
        raise BadOverride(
            f"{key!r} is no key", where=where, fix="write a table and a key: -o train.lr=3e-4"
        )
    path = tuple(int(part) if part.isdigit() else part for part in key.split("."))
    return Override(path, parse_value(value.strip()), text)


def parse_value(text: str) -> Any:
    """What TOML makes of it; anything TOML does not know is text, so that words need no quotes.

    Read as the only element of a list: a comment, a second value or a second line is no value.
    """
    try:
        document = tomllib.loads(f"value = [{text}]")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    if document.keys() == {"value"} and len(document["value"]) == 1:
        return document["value"][0]
    return text


def apply(raw: dict[str, Any], overrides: Iterable[Override]) -> dict[str, Any]:
    """`raw` with the overrides on top; later ones win. `raw` itself stays as it is."""
    for override in overrides:
        raw = _replaced(raw, override, override.path)
    return raw


def _replaced(table: Any, override: Override, path: Path) -> Any:
    key, *rest = path
    if isinstance(table, list) and isinstance(key, int) and key < len(table):
        return _element_replaced(table, override, key, tuple(rest))
    known = table if isinstance(table, dict) else {}
    if override.removes and key not in known:
        return table
    changed = dict(known)
    if rest:
        changed[key] = _replaced(changed.get(key), override, tuple(rest))
    elif override.removes:
        del changed[key]
    else:
        changed[key] = override.value
    return changed


def _element_replaced(table: list[Any], override: Override, index: int, rest: Path) -> list[Any]:
    before, element, after = table[:index], table[index : index + 1], table[index + 1 :]
    if rest:
        element = [_replaced(element[0], override, rest)]
    elif override.removes:
        element = []
    else:
        element = [override.value]
    return [*before, *element, *after]
