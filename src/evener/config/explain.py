"""From what validation found wrong to one error a person can act on.

The first problem is told in full (what was typed last comes first, then the file from its top);
the others are named in the same sentence, so that nobody mends a file one error at a time.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from evener.config import keys, meant
from evener.config.locate import Path
from evener.config.origin import Origin, dotted, shown
from evener.config.overrides import Override
from evener.config.script import NAME
from evener.config.section import kind_of
from evener.errors import BadCombination, JobError, UnknownKey, WrongValue

_LISTED = 4  # further problems named in one message
_FIRST_LINES = {
    "model": '[model] says what learns: name = "gpt", for example',
    "data": '[data] says what it learns from: name = "text" and a path, for example',
    "train": "[train] says how, and how long: steps = 1000, for example",
}


@dataclass(frozen=True, slots=True)
class _Problem:
    kind: type[JobError]
    paths: tuple[Path, ...]  # the first one decides its place among several
    what: str
    fix: str


def explain(error: ValidationError, raw: dict[str, Any], origin: Origin) -> JobError:
    """The error to raise for a `raw` job, merged from `origin`, that did not pass validation."""
    distinct: dict[Path, _Problem] = {}
    for found in error.errors(include_url=False):
        problem = _problem(found, raw, origin)
        path = problem.paths[0]
        distinct.setdefault(path[: _depth(path)], problem)
    first, *others = sorted(distinct.values(), key=lambda p: origin.order(p.paths[0]))
    what = first.what + _also(others, origin)
    return first.kind(what, where=", ".join(map(origin.where, first.paths)), fix=first.fix)


def unknown_key(override: Override, raw: dict[str, Any], origin: Origin) -> JobError:
    """For a key that was taken out but that no job could have: validation never sees it."""
    problem = _unknown_key(override.path, raw, origin)
    return problem.kind(problem.what, where=f"-o {override.text}", fix=problem.fix)


def _also(others: Sequence[_Problem], origin: Origin) -> str:
    if not others:
        return ""
    named = [origin.briefly(p.paths[0]) for p in others[:_LISTED]]
    if len(others) > _LISTED:
        named.append(f"and {len(others) - _LISTED} more")
    return "; also wrong: " + ", ".join(named)


def _problem(found: ErrorDetails, raw: dict[str, Any], origin: Origin) -> _Problem:
    path = _path(found)
    match found["type"]:
        case "model_type" | "dict_type" | "tuple_type" if len(path) < _depth(path):
            return _no_table(path, raw, origin)
        case "union_tag_invalid" if not isinstance(_value(raw, path), dict):
            return _no_table(path, raw, origin)
        case "extra_forbidden":
            return _unknown_key(path, raw, origin)
        case "union_tag_invalid":
            return _unknown_kind(str(path[0]), raw)
        case "missing":
            return _missing(path, raw, origin)
        case "combination":
            return _conflict(path, found["ctx"], raw)
        case "value_error" if len(path) < 2 and path != ("name",):
            said = str(found["ctx"]["error"])
            return _Problem(BadCombination, (path,), said, "change one of the keys it speaks of")
    finite = "finite " if found["type"] == "finite_number" else ""
    return _wrong_value(path, raw, origin, finite)


def _path(found: ErrorDetails) -> Path:
    """The key as the person wrote it: pydantic adds which member of a union it tried."""
    path = found["loc"]
    if path[:1] in (("model",), ("data",)) and len(path) > 1:
        path = (path[0], *path[2:])
    depth = _depth(path)
    return (*path[:depth], *(part for part in path[depth:] if isinstance(part, int)))


def _depth(path: Path) -> int:
    """How many parts name a key: ("train", "lr"), ("machines", 0, "cpus")."""
    return 3 if path and keys.is_repeated(str(path[0])) else 2


def _no_table(path: Path, raw: dict[str, Any], origin: Origin) -> _Problem:
    section = str(path[0])
    header = next(t.header for t in keys.tables() if t.name == section)
    brackets = "double" if keys.is_repeated(section) else "single"
    fix = f"write {header} in {brackets} brackets, and its keys below it"
    if not isinstance(_value(raw, path), dict):
        what = f"{dotted(path)} is {shown(_value(raw, path))}; it takes a table"
        return _Problem(WrongValue, (path,), what, fix)
    typed = next((o for o in origin.overrides if o.path[0] == section), None)
    if typed is not None:
        fix = f"say which of the tables in the file, the first being {section}.0, the next "
        fix += f"{section}.1"
    what = f"{section} is a list of tables, and this is one table without a place in it"
    return _Problem(WrongValue, (typed.path if typed else path,), what, fix)


def _unknown_key(path: Path, raw: dict[str, Any], origin: Origin) -> _Problem:
    table, name = _split(path)
    if not table and isinstance(raw.get(name), dict | list):
        return _unknown_table(name)
    owners = _other_kinds(table, name)
    if owners:
        what = f"{table} {raw[table].get('name')!r} has no key {name!r}"
        return _Problem(UnknownKey, (path,), what, _switched(path, owners, origin))
    kind = kind_of(raw[table]) if table in raw else ""
    close = meant.key(table, name, kind)
    fix = f"did you mean {close!r}?" if close else _takes(table, kind)
    return _Problem(UnknownKey, (path,), f"unknown key {dotted(path)!r}", fix)


def _unknown_table(name: str) -> _Problem:
    close = meant.table(name)
    names = dict.fromkeys(t.header for t in keys.tables() if t.name)
    fix = f"did you mean [{close}]?" if close else f"the job takes {', '.join(names)}"
    return _Problem(UnknownKey, ((name,),), f"unknown table [{name}]", fix)


def _takes(table: str, kind: str) -> str:
    own = keys.table(table, kind)
    names = ", ".join(k.name for k in own.keys) if own else ""
    return f"{f'[{table}]' if table else 'the job'} takes {names}" if names else "remove it"


def _other_kinds(table: str, name: str) -> list[str]:
    """The other kinds of [model] or [data] that do have this key."""
    having = (t for t in keys.tables() if t.name == table and t.kinds and t.key(name))
    return [_family(kind) for t in having for kind in t.kinds]


def _family(kind: str) -> str:
    if ":" not in kind:
        return kind
    return "torchvision:NAME" if kind.startswith("torchvision:") else "module:function of your own"


def _switched(path: Path, owners: Sequence[str], origin: Origin) -> str:
    """A recipe's kind was replaced, its keys were not: taking them out is one override away."""
    override = origin.override((path[0], "name"))
    if override and not origin.override(path):
        return f"-o {override.text} changed the kind; take the key out with -o {dotted(path)}="
    return f"remove it; it is for {path[0]} {keys.either(owners)}"


def _unknown_kind(section: str, raw: dict[str, Any]) -> _Problem:
    value = raw[section]
    path: Path = (section, "name")
    names = [k for k in keys.kinds(section) if ":" not in k and k != NAME]
    families = dict.fromkeys(_family(k) for k in keys.kinds(section) if ":" in k)
    listed = keys.either([*names, *families])
    name = value.get("name")
    if not isinstance(name, str):
        what = f"[{section}] has no name" if name is None else f"{section}.name is {shown(name)}"
        return _Problem(WrongValue, (path,), what, f"name it {listed}")
    close = meant.closest(name, names)
    fix = f"did you mean {close!r}? It" if close else "it"
    return _Problem(
        WrongValue, (path,), f"there is no {section} {name!r}", f"{fix} may be {listed}"
    )


def _missing(path: Path, raw: dict[str, Any], origin: Origin) -> _Problem:
    if len(path) == 1:
        section = str(path[0])
        what = f"the job has no [{section}]"
        return _Problem(WrongValue, (path,), what, _FIRST_LINES[section])
    if len(path) > _depth(path):
        return _wrong_value(path[: _depth(path)], raw, origin)
    key = _key(path, raw)
    return _Problem(WrongValue, (path,), f"{dotted(path)} is missing", key.about)


def _conflict(table: Path, context: dict[str, Any], raw: dict[str, Any]) -> _Problem:
    paths = [(*table, *str(key).split(".")) for key in context["keys"]]
    given = tuple(p for p in paths if _given(raw, p))
    return _Problem(BadCombination, given or (table,), context["what"], context["fix"])


def _wrong_value(path: Path, raw: dict[str, Any], origin: Origin, finite: str = "") -> _Problem:
    key, value = _key(path, raw), _value(raw, path)
    takes = f"{key.path} takes" if len(path) > _depth(path) else "it takes"
    accepts = key.accepts.replace("a number", f"a {finite}number", 1)
    what = f"{dotted(path)} is {shown(value)}; {takes} {accepts}"
    return _Problem(WrongValue, (path,), what, _next(path, key, value, origin))


def _next(path: Path, key: keys.Key, value: Any, origin: Origin) -> str:
    """What the person most likely wanted to write; else what the key is for."""
    wanted = _meant_value(key, value)
    if wanted is not None and len(path) <= _depth(path):
        return f"write {origin.write(path, wanted)}"
    if key.required or (key.types == {"string"} and not key.options):
        return key.about
    default = f"; then it is {shown(key.default)}" if key.default not in (None, {}) else ""
    return f"write such a value, or leave {key.path} out{default}"


def _meant_value(key: keys.Key, value: Any) -> Any:
    """`"100"` for 100, `1e3` for 1000, `adamW` for "adamw", `True` for true, 2024 for "2024"."""
    if isinstance(value, str) and key.options:
        return meant.closest(value, key.options)
    if isinstance(value, str):
        inner = _unquoted(value)
        return inner if _json_type(inner) in key.types | _whole(key) else None
    if isinstance(value, float) and "integer" in key.types and value.is_integer():
        return int(value)
    return str(value) if key.types == {"string"} and type(value) in (int, float) else None


def _whole(key: keys.Key) -> frozenset[str]:
    return frozenset({"integer"}) if "number" in key.types else frozenset()


def _unquoted(text: str) -> Any:
    text = {"True": "true", "False": "false"}.get(text, text)
    if text.startswith("."):
        text = f"0{text}"
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return None


def _json_type(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", list: "array"}
    return names.get(type(value), "")


def _key(path: Path, raw: dict[str, Any]) -> keys.Key:
    """What is known about a key; pydantic only complains about values of keys that exist."""
    section, name = _split(path)
    table = keys.table(section, kind_of(raw.get(section)) if section else "")
    key = table.key(name) if table else None
    assert key is not None, f"validation named a key that no table has: {dotted(path)}"
    return key


def _split(path: Path) -> tuple[str, str]:
    """The table, "" at the top of the file, and the key in it."""
    key = path[_depth(path) - 1 :]
    return (str(path[0]), str(key[0])) if key else ("", str(path[0]))


def _value(raw: Any, path: Path) -> Any:
    for part in path:
        raw = raw[part]
    return raw


def _given(raw: Any, path: Path) -> bool:
    try:
        _value(raw, path)
    except (KeyError, IndexError, TypeError):
        return False
    return True
