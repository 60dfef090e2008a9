"""From a job file or a recipe, and overrides, to a validated Job: defaults < file < -o key=value.

A job that loads needs no further check of its keys by anyone. One that does not raises one
JobError that names file, line, key and the way out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evener.config import document, keys, locate, scripted
from evener.config.document import recipe
from evener.config.explain import explain, unknown_key
from evener.config.origin import Origin
from evener.config.overrides import Override, apply, parse
from evener.config.recipes import Recipe, recipes
from evener.config.schema import Job
from evener.config.schema_json import json_schema
from evener.errors import StoreDamaged, WrongValue

__all__ = [
    "LoadedJob",
    "Recipe",
    "job_from_json",
    "job_to_json",
    "json_schema",
    "load_job",
    "recipe",
    "recipes",
]

VERSION = 1
_PATHS = (
    ("script", "path"),
    ("script", "folder"),
    ("data", "path"),
    ("model", "weights"),
    ("image", "wheels"),
    ("image", "dockerfile"),
)
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class LoadedJob:
    """`job` has absolute paths. `origin` is the file as it was named, or `recipe NAME`."""

    job: Job
    name: str
    origin: str
    folder: Path


def load_job(source: str, overrides: Sequence[str] = (), cwd: Path = Path()) -> LoadedJob:
    """`source` is the path of a .toml or .json, relative to `cwd`, or the name of a recipe."""
    found = document.read(source, cwd)
    parsed = tuple(map(parse, overrides))
    origin = Origin(found.label, found.lines, parsed)
    raw = apply(found.values, parsed)
    _check_removed(parsed, raw, origin)
    rooted = _rooted(raw, origin, found.folder, cwd.absolute())
    job = _validated(scripted.completed(rooted, cwd.absolute()), raw, origin)
    return LoadedJob(job, job.name or _name(found.stem), found.label, found.folder)


def job_to_json(job: Job) -> str:
    """Every key, defaults included: what a run did stays readable when defaults change."""
    values = {"version": VERSION, **job.model_dump()}
    if job.script.path:  # of [train] only what was said: what was not is the script's to say
        values["train"] = job.train.model_dump(exclude_unset=True)
    return json.dumps(values, indent=2, ensure_ascii=False, default=str) + "\n"


def job_from_json(text: str) -> Job:
    """What `job_to_json` wrote, of this version or another one: keys unknown here are ignored."""
    try:
        values = dict(json.loads(text))
        values.pop("version", None)
        return _without_unknown(values)
    except (ValueError, TypeError, RecursionError) as error:
        raise StoreDamaged(
            "the job that is recorded with the run cannot be read",
            fix="start it as a new run, from the job file or the recipe",
        ) from error


def _without_unknown(values: dict[Any, Any]) -> Job:
    try:
        return Job.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        unknown = [e["loc"] for e in error.errors() if e["type"] == "extra_forbidden"]
        if not unknown:
            raise
        for path in unknown:
            _remove(values, path)
        return _without_unknown(values)


def _remove(values: dict[Any, Any], path: locate.Path) -> None:
    """The path also says which kind of a model it was held for, which no key is."""
    table: Any = values
    for part in path[:-1]:
        if isinstance(part, int) or part in table:
            table = table[part]
    del table[path[-1]]


def _validated(rooted: dict[str, Any], raw: dict[str, Any], origin: Origin) -> Job:
    """Strict, and as JSON: nothing is guessed from a wrong type, and lists may become tuples.

    What TOML has and JSON has not (dates) becomes text, which no key but a free one accepts.
    """
    try:
        return Job.model_validate_json(json.dumps(rooted, default=str), strict=True)
    except ValidationError as error:
        raise explain(error, raw, origin) from error


def _check_removed(parsed: Sequence[Override], raw: dict[str, Any], origin: Origin) -> None:
    """Taking out a key that no job has is a slip, and would otherwise pass unseen."""
    for override in parsed:
        if override.removes and not _exists(override.path):
            raise unknown_key(override, raw, origin)


def _exists(path: locate.Path) -> bool:
    """Some job may have it: a table, a key of one, or anything below the free `args`."""
    table, *rest = (str(part) for part in path if isinstance(part, str))
    found = [t for t in keys.tables() if t.name == table]
    if not rest:
        return bool(found) or any(t.key(table) for t in keys.tables() if not t.name)
    key = any(t.key(rest[0]) or (t.kinds and rest[0] == "name") for t in found)
    return key and (len(rest) == 1 or rest[0] == "args")


def _rooted(raw: dict[str, Any], origin: Origin, folder: Path, cwd: Path) -> dict[str, Any]:
    """Paths made absolute: from the job file's folder; where typed as an override, from `cwd`."""
    for table, key in _PATHS:
        section = raw.get(table)
        value = section.get(key) if isinstance(section, dict) else None
        if (
            isinstance(section, dict)
            and isinstance(value, str)
            and value
            and not value.startswith("builtin:")
        ):
            base = cwd if origin.override((table, key)) else folder
            path = _absolute(value, base, origin.where((table, key)))
            raw = {**raw, table: {**section, key: path}}
    return _reads_rooted(raw, folder if not origin.override(("script", "reads")) else cwd)


def _reads_rooted(raw: dict[str, Any], base: Path) -> dict[str, Any]:
    script = raw.get("script")
    reads = script.get("reads") if isinstance(script, dict) else None
    if not (isinstance(reads, list) and all(isinstance(path, str) for path in reads)):
        return raw
    rooted = [_absolute(path, base, "script.reads") for path in reads]
    return {**raw, "script": {**raw["script"], "reads": rooted}}


def _absolute(value: str, base: Path, where: str) -> str:
    try:
        return str(base / Path(value).expanduser())
    except RuntimeError as error:
        raise WrongValue(f"nobody's home is {value!r}", where=where, fix="write it out") from error


def _name(stem: str) -> str:
    """A file's own name as a run's name: what no folder should be called becomes a dash."""
    return _NOT_IN_NAMES.sub("-", stem).strip("-._")[:64] or "job"
