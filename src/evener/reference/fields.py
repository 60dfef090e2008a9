"""The fields of a frozen record with the comments that stand beside them in its source."""

from __future__ import annotations

import dataclasses
import inspect
import re
from dataclasses import dataclass
from typing import Any

_LINE = re.compile(r"^    (\w+): [^#]*(?:#\s*(.*))?$")


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    kind: str
    default: str  # "" where there is none
    about: str


def of(record: type[Any]) -> list[Field]:
    comments = {m[1]: m[2] or "" for m in map(_LINE.match, _source(record)) if m}
    return [
        Field(f.name, str(f.type), _default(f), comments.get(f.name, ""))
        for f in dataclasses.fields(record)
    ]


def about(record: type[Any]) -> str:
    """Its docstring, on one line."""
    return " ".join((record.__doc__ or "").split())


def _source(record: type[Any]) -> list[str]:
    return inspect.getsource(record).splitlines()


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return repr(field.default)
    if field.default_factory is not dataclasses.MISSING:
        return repr(field.default_factory())
    return ""
