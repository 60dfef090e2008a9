"""Every key of a job file in a flat list: what it accepts in words, its default, what it is for.

Read from the JSON schema, so that error messages, did-you-mean and the reference page say the
same and cannot differ from what validation does.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from evener.config.schema_json import json_schema

NODE = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Key:
    """One key. `default` is None where there is none: the key must be given, or may be absent."""

    table: str  # "" at the top of the file
    name: str
    accepts: str
    types: frozenset[str]  # JSON's names
    options: tuple[str, ...]  # where only certain words are accepted
    default: Any
    required: bool
    about: str

    @property
    def path(self) -> str:
        return f"{self.table}.{self.name}" if self.table else self.name


@dataclass(frozen=True, slots=True)
class Table:
    """One table, or one kind of [model] or [data] with the names that mean it."""

    name: str
    kinds: tuple[str, ...]
    required: bool
    about: str
    keys: tuple[Key, ...]
    repeated: bool = False  # [[machines]]: any number of them
    free: Key | None = None  # [env]: what a key of any name is

    def key(self, name: str) -> Key | None:
        found = next((k for k in self.keys if k.name == name), None)
        return replace(self.free, name=name) if found is None and self.free else found

    @property
    def header(self) -> str:
        return f"[[{self.name}]]" if self.repeated else f"[{self.name}]"


@functools.cache
def tables() -> tuple[Table, ...]:
    """In the order of the schema; the keys at the top of the file are a table named ""."""
    schema = json_schema()
    return (_top(schema), *_tables(schema))


def kinds(section: str) -> tuple[str, ...]:
    """What `name` of [model] or [data] may be; families by an example."""
    return tuple(kind for t in tables() if t.name == section for kind in t.kinds)


def is_repeated(name: str) -> bool:
    return any(t.repeated for t in tables() if t.name == name)


def table(name: str, kind: str = "") -> Table | None:
    """The table of that name; of [model] and [data] the one for `kind`, as `kind_of` names it."""
    family = {"torchvision": ("torchvision:",), "user": ("my_model:", "my_data:")}.get(kind)
    for t in tables():
        if t.name != name:
            continue
        if not t.kinds or kind in t.kinds or (family and t.kinds[0].startswith(family)):
            return t
    return None


def _top(schema: NODE) -> Table:
    keys = [
        _key("", name, node, schema)
        for name, node in schema["properties"].items()
        if _tables_in(node, schema) == []
    ]
    return Table("", (), False, "Keys that stand before the first table.", tuple(keys))


def _tables(schema: NODE) -> Iterator[Table]:
    for section, node in schema["properties"].items():
        for body in _tables_in(node, schema):
            several = section in ("model", "data")
            yield Table(
                name=section,
                kinds=_words(body["properties"]["name"]) if several else (),
                required=section in schema["required"],
                about=" ".join(body["description"].split()),
                keys=tuple(
                    _key(section, name, child, body)
                    for name, child in body.get("properties", {}).items()
                    if not (several and name == "name")
                ),
                repeated=node.get("type") == "array",
                free=_free_key(section, body),
            )


def _free_key(section: str, body: NODE) -> Key | None:
    node = body.get("additionalProperties")
    return _key(section, "", node, body) if node else None


def _tables_in(node: NODE, schema: NODE) -> list[NODE]:
    nodes = (node, *node.get("anyOf", ()), node.get("items", {}))
    references = [n["$ref"] for n in nodes if "$ref" in n]
    return [schema["$defs"][r.rsplit("/", 1)[1]] for r in references]


def _key(table: str, name: str, node: NODE, owner: NODE) -> Key:
    return Key(
        table=table,
        name=name,
        accepts=accepts(node),
        types=frozenset(n["type"] for n in _choices(node) if "type" in n),
        options=_options(node),
        default=node.get("default"),
        required=name in owner.get("required", ()),
        about=node.get("description", ""),
    )


def _choices(node: NODE) -> list[NODE]:
    """What a value may be, one of; the absence that JSON writes as null is none of them."""
    return [n for n in node.get("anyOf", [node]) if n.get("type") != "null"]


def _words(node: NODE) -> tuple[str, ...]:
    return tuple([node["const"]] if "const" in node else node.get("enum") or node["examples"])


def _options(node: NODE) -> tuple[str, ...]:
    return tuple(w for n in _choices(node) if "enum" in n or "const" in n for w in _words(n))


def accepts(node: NODE) -> str:
    """What a value of this key may be, in words: `a whole number, 1 or more`."""
    return ", or ".join(_accepts(n, node) for n in _choices(node))


def _accepts(node: NODE, outer: NODE) -> str:
    if "enum" in node or "const" in node:
        return either([f'"{w}"' for w in _words(node)])
    kind = node.get("type")
    if kind == "array" and "prefixItems" in node:
        items = node["prefixItems"]
        return f"a list of {len(items)}, each {accepts(items[0])}"
    if kind == "array":
        return f"a list, each {accepts(node['items'])}"
    if kind in ("integer", "number"):
        return ("a whole number" if kind == "integer" else "a number") + _bounds(node)
    if kind == "string":
        examples = node.get("examples") or outer.get("examples") or ()
        return "text" + (f" like {either([json.dumps(e) for e in examples])}" if examples else "")
    return {"boolean": "true or false", "object": "a table"}[str(kind)]


def _bounds(node: NODE) -> str:
    """` above 0`, `, 1 or more`, `, 0 or more and below 1`."""
    low = high = ""
    if "exclusiveMinimum" in node:
        low = f"above {node['exclusiveMinimum']:g}"
    elif "minimum" in node:
        low = f"{node['minimum']:g} or more"
    if "exclusiveMaximum" in node:
        high = f"below {_bound(node['exclusiveMaximum'])}"
    elif "maximum" in node:
        high = f"at most {_bound(node['maximum'])}"
    both = " and ".join(text for text in (low, high) if text)
    return (" " if both.startswith(("above", "below")) else ", ") + both if both else ""


def _bound(value: float) -> str:
    return (
        f"2^{value.bit_length() - 1}" if isinstance(value, int) and value > 10**9 else f"{value:g}"
    )


def either(words: Sequence[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
