"""Which evener and which torch a process has, and whether two of them may train together.

A build's own label (`2.13.0+cpu`, `2.13.0+cu130`) says what it was made for, not what it computes:
machines with and without a GPU train together. Anything before the label must be the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

EVENER = "0.1.0"
KEY = "versions"  # in a hello


@dataclass(frozen=True, slots=True)
class Versions:
    """Of the packages that decide what is computed; "" for one that is not there."""

    evener: str
    torch: str


def installed() -> Versions:
    """What importing them would give, as far as one can tell without importing torch."""
    try:
        torch = metadata.version("torch")
    except metadata.PackageNotFoundError:
        torch = ""
    return Versions(EVENER, torch)


def greeting(versions: Versions) -> dict[str, Any]:
    """What a hello says of them."""
    return {KEY: asdict(versions)}


def greeted(hello: Mapping[str, Any]) -> Versions:
    """What a hello said; a stranger may have said anything, or nothing."""
    said = hello.get(KEY)
    known = said if isinstance(said, dict) else {}
    return Versions(str(known.get("evener", "")), str(known.get("torch", "")))


def differing(one: Versions, other: Versions) -> tuple[str, ...]:
    """The packages of which the two have different versions."""
    mine, theirs = asdict(one), asdict(other)
    return tuple(name for name in mine if _public(mine[name]) != _public(theirs[name]))


def named(versions: Versions, packages: tuple[str, ...]) -> str:
    """`torch 2.13.0+cpu and evener 0.1.0`, as a person reads it."""
    own = asdict(versions)
    return " and ".join(f"{name} {own[name]}" if own[name] else f"no {name}" for name in packages)


def is_for_processors(torch: str) -> bool:
    """Such a build uses no GPU, whatever the machine has."""
    return torch.endswith("+cpu")


def _public(version: str) -> str:
    return version.partition("+")[0]
