"""A job file as text: found by path or recipe name, read, and parsed with the line of each key."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evener.config import locate, meant, scripted
from evener.config.recipes import Recipe, recipes
from evener.errors import JobNotFound, JobSyntax, NotPermitted

SUFFIXES = (".toml", ".json")
_POSITION = re.compile(r" \(at line (\d+), column (\d+)\)$")
_TWICE = re.compile(r"Cannot declare (\(.*\)) twice")
_ALL = "evener recipes lists what comes with evener"
_HINTS = (
    (re.compile(r"=\s*(True|False)\b"), "write true or false in lower case"),
    (re.compile(r"=\s*(None|null|nil)\b"), "leave the key out: TOML has no empty value"),
    (re.compile(r"^\s*[\w.-]+\s*:\s"), "write key = value, with an equals sign"),
    (re.compile(r'"[^"]*\\'), "write a Windows path in single quotes: 'C:\\data\\mnist'"),
    (re.compile(r"=\s*\.\d"), "a number begins with a digit: 0.5, not .5"),
    (re.compile(r"=\s*$"), "give the key a value, or remove the line"),
    (re.compile(r"=\s*[A-Za-z~./]"), 'put text in quotes: key = "text"'),
)


@dataclass(frozen=True, slots=True)
class Document:
    """`label` is how messages name it; `folder` is what relative paths in it start from."""

    label: str
    stem: str
    folder: Path
    values: dict[str, Any]
    lines: dict[locate.Path, int]


def read(source: str, cwd: Path) -> Document:
    """The job file at `source`, the recipe of that name, or a job that is a script at `source`."""
    if not _is_path(source):
        chosen = recipe(source, cwd)
        values, lines = _toml(chosen.text, f"recipe {chosen.name}")
        return Document(f"recipe {chosen.name}", chosen.name, cwd.absolute(), values, lines)
    path = cwd / source
    if path.suffix.lower() in scripted.SUFFIXES:
        script = {"script": {"path": path.name}}
        return Document(source, path.stem, path.parent.absolute(), script, {})
    parse = _json if path.suffix.lower() == ".json" else _toml
    values, lines = parse(_text(path, source), source)
    return Document(source, path.stem, path.parent.absolute(), values, lines)


def recipe(name: str, cwd: Path = Path()) -> Recipe:
    """Raises JobNotFound, which also thinks of job files in `cwd`."""
    found = {r.name: r for r in recipes()}
    if name in found:
        return found[name]
    close = meant.closest(name, [*_job_files(cwd), *found])
    fix = f"did you mean {close!r}? " if close else "name a job file, or a recipe; "
    raise JobNotFound(f"there is no recipe {name!r}", where=name, fix=fix + _ALL)


def _is_path(source: str) -> bool:
    return (
        source.lower().endswith((*SUFFIXES, *scripted.SUFFIXES)) or "/" in source or "\\" in source
    )


def _job_files(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)


def _text(path: Path, label: str) -> str:
    """UTF-8, with or without the mark that Windows editors put first."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise JobSyntax(
            f"{label} is not UTF-8 text",
            where=f"{label}:{line}",
            fix="save it as UTF-8 in your editor",
        ) from error
    except PermissionError as error:
        raise NotPermitted(
            f"{label} may not be read", where=str(path), fix="check its owner"
        ) from error
    except OSError as error:
        raise _not_found(path, label) from error


def _not_found(path: Path, label: str) -> JobNotFound:
    if path.is_dir():
        files = _job_files(path)
        fix = f"name the file, such as {path.name}/{files[0]}" if files else "name a .toml or .json"
        return JobNotFound(f"{label} is a folder", where=str(path.absolute()), fix=fix)
    files = _job_files(path.parent)
    stems = {Path(f).stem: f for f in reversed(files)}
    close = meant.closest(path.stem, stems)
    by_stem = meant.closest(path.stem, [r.name for r in recipes()])
    if close:
        fix = f"did you mean {str(Path(label).with_name(stems[close]))!r}?"
    elif by_stem:
        fix = f"the recipe is {by_stem!r}; evener init {by_stem} writes it as a file of your own"
    else:
        fix = _ALL
    return JobNotFound(f"there is no job file {label!r}", where=str(path.absolute()), fix=fix)


def _toml(text: str, label: str) -> tuple[dict[str, Any], dict[locate.Path, int]]:
    try:
        return tomllib.loads(text), locate.toml_lines(text)
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(str(error), text, label) from error
    except RecursionError as error:
        raise _too_deep(label) from error


def _not_toml(message: str, text: str, label: str) -> JobSyntax:
    match = _POSITION.search(message)
    lines = text.splitlines() or [""]
    line, column = (int(match[1]), int(match[2])) if match else (len(lines), len(lines[-1]) + 1)
    content = lines[min(line, len(lines)) - 1]
    said = _POSITION.sub("", message).removesuffix(" (at end of document)")
    said = _TWICE.sub(lambda m: f"[{'.'.join(ast.literal_eval(m[1]))}] is declared twice", said)
    return JobSyntax(
        f"{_lowered(said)} in `{_cut(content)}`" if content.strip() else _lowered(said),
        where=f"{label}:{line}:{column}",
        fix=_toml_hint(said, content),
    )


def _toml_hint(said: str, content: str) -> str:
    if "overwrite" in said or "twice" in said:
        return "this key or table stands in the file twice: keep one"
    hint = next((hint for pattern, hint in _HINTS if pattern.search(content)), None)
    if hint:
        return hint
    if "newline" in said or "\\n" in said or "Unterminated" in said:
        return "one key = value per line; close every quote on its line"
    if "Unclosed" in said or "array" in said:
        return "close the bracket, and separate what is in it by commas"
    return 'a line is key = value, with text in "quotes", or a [table]'


def _json(text: str, label: str) -> tuple[dict[str, Any], dict[locate.Path, int]]:
    """The keys that editors and `job_to_json` add at the top are no part of the job."""
    try:
        values = json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise JobSyntax(
            f"{_lowered(error.msg)} in `{_cut((text.splitlines() or [''])[error.lineno - 1])}`",
            where=f"{label}:{error.lineno}:{error.colno}",
            fix="JSON wants double quotes, no comment, and no comma before a closing brace",
        ) from error
    except _TwiceError as error:
        raise JobSyntax(
            f"the key {error.args[0]!r} stands twice in one table", where=label, fix="keep one"
        ) from error
    except RecursionError as error:
        raise _too_deep(label) from error
    if not isinstance(values, dict):
        raise JobSyntax("the file is not one JSON object", where=label, fix="begin it with {")
    kept = {k: v for k, v in values.items() if k not in ("$schema", "version")}
    return kept, locate.json_lines(text)


class _TwiceError(ValueError):
    """A key of a JSON object was given twice; json itself would quietly take the last."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table:
            raise _TwiceError(key)
        table[key] = value
    return table


def _too_deep(label: str) -> JobSyntax:
    return JobSyntax("brackets are nested too deeply", where=label, fix="no key needs that")


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def _cut(text: str) -> str:
    text = text.strip()
    return text if len(text) <= 60 else text[:57] + "..."
