"""The schema for editors: complete, described, and free of what it must not contain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from evener.config import keys
from evener.config.schema_json import json_schema

SCHEMA = json_schema()


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for child in value.values() if isinstance(value, dict) else value:
        if isinstance(child, dict | list):
            yield from nodes(child)


def test_it_is_json_and_says_which_dialect() -> None:
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    assert SCHEMA["$schema"].startswith("https://json-schema.org/draft/2020-12/")


def test_every_reference_leads_somewhere() -> None:
    references = [n["$ref"] for n in nodes(SCHEMA) if "$ref" in n]
    assert references
    for reference in references:
        assert reference.removeprefix("#/$defs/") in SCHEMA["$defs"]


def test_it_names_only_keywords_that_json_schema_has() -> None:
    known = {
        "$schema", "$defs", "$ref", "title", "description", "default", "examples", "type", "enum",
        "const", "anyOf", "properties", "required", "additionalProperties", "items", "prefixItems",
        "minItems", "maxItems", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
        "pattern", "minLength", "maxLength",
    }  # fmt: skip
    names = {name for d in SCHEMA["$defs"].values() for name in d.get("properties", ())}
    found = {key for n in nodes(SCHEMA) for key in n}
    assert found - known - names - set(SCHEMA["properties"]) - set(SCHEMA["$defs"]) == set()


@pytest.mark.parametrize("name", ["model", "data"])
def test_a_kind_is_told_by_its_name_alone(name: str) -> None:
    for option in SCHEMA["properties"][name]["anyOf"]:
        kind = SCHEMA["$defs"][option["$ref"].removeprefix("#/$defs/")]
        assert "name" in kind["required"]
        assert "default" not in kind["properties"]["name"]


def test_a_caller_may_change_its_copy() -> None:
    json_schema().clear()
    assert json_schema() == SCHEMA


@pytest.mark.parametrize("table", keys.tables(), ids=lambda t: f"{t.name}-{'-'.join(t.kinds)}")
def test_every_table_and_key_is_described(table: keys.Table) -> None:
    assert len(table.about) >= 20
    for key in table.keys:
        assert len(key.about) >= 12, f"{key.path}: {key.about!r}"
        assert key.about.endswith((".", "?")), f"{key.path}: {key.about!r}"
        assert key.accepts
