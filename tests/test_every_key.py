"""No key of the job file is a wish: each is read, as an attribute, by code outside the schema.

That a key also does what its description says is tested where it is read.
"""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest
from pydantic import BaseModel

import evener
from evener.config import schema
from evener.config.schema import Section

SOURCE = Path(evener.__file__).parent
KEPT_AS_TAGS = {"name"}  # chooses the table itself


def sections() -> list[type[BaseModel]]:
    found: list[type[BaseModel]] = []
    pending: list[type[BaseModel]] = [Section]
    while pending:
        kind = pending.pop()
        found.append(kind)
        pending.extend(kind.__subclasses__())
    return [k for k in found if k.model_fields]


@functools.cache  # it parses all of the source
def attributes_read() -> frozenset[str]:
    """Names read as attributes anywhere but in the schema and in what only prints it."""
    names: set[str] = set()
    for file in SOURCE.rglob("*.py"):
        if file.relative_to(SOURCE).parts[0] in ("config", "reference"):
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        names |= {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
        }
    return frozenset(names)


@pytest.mark.parametrize("section", sections(), ids=lambda s: str(s.__name__))
def test_every_key_is_read(section: type[BaseModel]) -> None:
    unread = set(section.model_fields) - attributes_read() - KEPT_AS_TAGS
    assert not unread, f"{section.__name__}: nothing reads {sorted(unread)}"


def test_the_schema_is_the_whole_of_it() -> None:
    assert schema.Job in sections()
