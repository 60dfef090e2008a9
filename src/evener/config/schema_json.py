"""The job's schema as JSON Schema: for editors, and for everything that lists or explains keys."""

from __future__ import annotations

import functools
import json
from typing import Any

from evener.config.schema import Job


def json_schema() -> dict[str, Any]:
    """A fresh copy, in the dialect editors complete TOML and JSON with."""
    return dict(json.loads(_text()))


@functools.cache
def _text() -> str:
    schema = Job.model_json_schema()
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "An evener job file",
    }
    for section in ("model", "data"):
        _offer_kinds(schema, section)
    return json.dumps(schema)


def _offer_kinds(schema: dict[str, Any], section: str) -> None:
    """One of several kinds, told apart by `name`, which a person must therefore always write.

    anyOf, because `torchvision:x` also has the form of a person's own `module:x`.
    """
    node = schema["properties"][section]
    node["anyOf"] = node.pop("oneOf")
    node["description"] = {
        "model": "What learns.",
        "data": "What it learns from.",
    }[section]
    for reference in node["anyOf"]:
        kind = schema["$defs"][reference["$ref"].rsplit("/", 1)[1]]
        kind["required"] = sorted({*kind.get("required", ()), "name"})
        name = kind["properties"]["name"]
        name.pop("default", None)
        name["description"] = "Which one."
