"""The page about the job file: every table and every key, from the schema itself."""

from __future__ import annotations

from typing import Any

from evener.config.keys import Key, Table, tables
from evener.config.origin import shown
from evener.reference.markdown import code, document, table

_INTRODUCTION = """\
A job file says what to train. It is TOML (or JSON of the same shape); a path in it is relative to
the file. Defaults hold for every key that is not given; `-o table.key=value` goes before the file,
and `-o table.key=` takes a key out. A path typed with `-o` is relative to the folder you are in.

    evener init demo            # a commented job file to start from
    evener run demo.toml -o train.steps=500
    evener config show demo.toml

A key that is not on this page is an error, never ignored. Editors complete and check job files
with the schema that `evener config schema` prints: save it as `evener.schema.json` and begin the
job file with the line `#:schema ./evener.schema.json`.

A duration is a number of seconds, or text with a unit: `"200ms"`, `"90s"`, `"5m"`, `"1.5h"`; a size
is a number of bytes, or text: `"512MB"`, `"4GiB"`. `-o machines.0.cpus=2` sets a key of the first
of several tables of one name."""

_SECTIONS = {
    "model": "What learns. `name` says which model, and with it which keys there are.",
    "data": "What it learns from. `name` says which data, and with it which keys there are.",
}


def page() -> str:
    blocks: list[str] = []
    for t in tables():
        heading = f"## {t.header}" if t.name else "## Before the first table"
        if heading not in blocks:
            blocks += [heading, _SECTIONS.get(t.name, _about(t))]
        if t.kinds:
            blocks += [_kind(t), t.about]
        blocks.append(_keys(t))
    return document("The job file", _INTRODUCTION, *blocks)


def _about(t: Table) -> str:
    needed = "" if t.required or not t.name else " The table may be left out."
    return t.about + needed


def _kind(t: Table) -> str:
    form = {
        "torchvision": "torchvision:NAME",
        "my_model": "module:function",
        "my_data": "module:function",
    }
    names = [form.get(kind.partition(":")[0], kind) if ":" in kind else kind for kind in t.kinds]
    return f"### {t.name} {' and '.join(map(code, names))}"


def _keys(t: Table) -> str:
    if t.free is not None:
        return f"A key is a name, its value {t.free.accepts}."
    if not t.keys:
        return "No further keys."
    rows = [(code(k.name), k.accepts, _default(k), k.about) for k in t.keys]
    return table(("key", "takes", "default", "what it is for"), rows)


def _default(key: Key) -> str:
    if key.required:
        return "must be given"
    return code(_toml(key.default)) if key.default is not None else "none"


def _toml(value: Any) -> str:
    return "{}" if value == {} else shown(value)
