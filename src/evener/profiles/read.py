"""Profiles from the text of a file that a person may have edited: every slip is one message."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from evener.config import meant
from evener.config.locate import json_lines
from evener.config.origin import Origin
from evener.errors import ProfilesBroken
from evener.profiles.model import VERSION, LinkProfile, MachineProfile, Profiles, RankProfile

_ANEW = "`evener bench JOB` measures again and writes the file anew"
_TABLES: dict[str, type[Any]] = {
    "machines": MachineProfile,
    "ranks": RankProfile,
    "links": LinkProfile,
}
_SHAPE: TypeAdapter[Profiles] = TypeAdapter(Profiles)
_Path = tuple[str | int, ...]


def missing(label: str) -> ProfilesBroken:
    """What to say where there is no such file."""
    fix = "correct the path, or measure: `evener bench JOB --out FILE`"
    return ProfilesBroken(f"there are no profiles at {label}", where=label, fix=fix)


def parse(text: str, label: str) -> Profiles:
    """Raises ProfilesBroken, which names file, line and key. `label` is what the file is called."""
    values = _values(text, label)
    origin = Origin(label, json_lines(text))
    version = values.get("v")
    if version != VERSION:
        raise ProfilesBroken(
            f"profiles of version {version!r}; this evener reads {VERSION}",
            where=origin.where(("v",)),
            fix=_ANEW,
        )
    try:
        profiles = _SHAPE.validate_json(json.dumps(values))
    except ValidationError as error:
        raise _explained(error.errors()[0], origin) from error
    for path, what, fix in _contradictions(profiles):
        raise ProfilesBroken(what, where=origin.where(path), fix=fix)
    return profiles


def _values(text: str, label: str) -> dict[str, Any]:
    try:
        values = json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise ProfilesBroken(
            f"this is no JSON: {error.msg}",
            where=f"{label}:{error.lineno}:{error.colno}",
            fix=f"mend that line; or {_ANEW}",
        ) from error
    except KeyError as error:
        what = f"the key {error.args[0]!r} stands twice in one table"
        raise ProfilesBroken(what, where=label, fix="keep one") from error
    except RecursionError as error:
        raise ProfilesBroken("brackets are nested too deeply", where=label, fix=_ANEW) from error
    if not isinstance(values, dict):
        raise ProfilesBroken("the file is not one JSON object", where=label, fix=_ANEW)
    return values


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """json itself would quietly take the last of two."""
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table:
            raise KeyError(key)
        table[key] = value
    return table


def _explained(found: ErrorDetails, origin: Origin) -> ProfilesBroken:
    path, kind = found["loc"], found["type"]
    key = path[-1]
    if kind in ("missing", "missing_argument"):
        return ProfilesBroken(f"{key!r} is missing", where=origin.where(path), fix=_ANEW)
    if kind in ("unexpected_keyword_argument", "extra_forbidden"):
        close = meant.closest(str(key), _known(path))
        fix = f"did you mean {close!r}?" if close else "take it out"
        return ProfilesBroken(f"nothing reads {key!r}", where=origin.where(path), fix=fix)
    said = found["msg"].replace("Input should be", "this should be")
    given = json.dumps(found["input"], default=str)
    return ProfilesBroken(
        f"{said[:1].lower()}{said[1:]}, and it is {given[:60]}",
        where=origin.where(path),
        fix=f"write what was measured there; or {_ANEW}",
    )


def _known(path: _Path) -> Iterable[str]:
    """The keys of the table that the last part of `path` stands in."""
    kind = _TABLES.get(str(path[0]), Profiles) if len(path) > 1 else Profiles
    return [field.name for field in fields(kind)]


def _contradictions(profiles: Profiles) -> Iterable[tuple[_Path, str, str]]:
    """What is wrong though each key is right: where, what, and what to do."""
    try:
        datetime.fromisoformat(profiles.measured_at)
    except ValueError:
        what = f"{profiles.measured_at!r} is no date and time"
        yield ("measured_at",), what, "write it as 2026-05-01T12:00:00+00:00"
    ranks, names = [r.rank for r in profiles.ranks], [m.name for m in profiles.machines]
    yield from _twice("machines", names, "name")
    yield from _twice("ranks", ranks, "rank")
    for i, profile in enumerate(profiles.ranks):
        if profile.machine not in names:
            what = f"there is no machine {profile.machine!r} in the file"
            yield ("ranks", i, "machine"), what, f"it has {', '.join(names) or 'none'}"
        if not profile.points:
            yield ("ranks", i, "points"), "no point was measured", _ANEW
    pairs = [(link.from_rank, link.to_rank) for link in profiles.links]
    yield from _twice("links", pairs, "from_rank")
    for i, pair in enumerate(pairs):
        if unknown := [rank for rank in pair if rank not in ranks]:
            what = f"there is no rank {unknown[0]} in the file"
            yield ("links", i), what, "take the link out"


def _twice(table: str, keys: list[Any], key: str) -> Iterable[tuple[_Path, str, str]]:
    counts = Counter(keys)
    for i, value in enumerate(keys):
        if counts[value] > 1 and keys.index(value) < i:
            shown = " to ".join(map(str, value)) if isinstance(value, tuple) else repr(value)
            yield (table, i, key), f"{shown} stands there twice", "keep one"
