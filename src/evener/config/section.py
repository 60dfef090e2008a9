"""What every table of the job file is made of: strictness, units, and how it refuses."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from evener import units

USER_CODE = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"  # package.module:name


class Section(BaseModel):
    """A table of the job file. An unknown key is an error, never a silent wish."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False
    )


def conflict(what: str, keys: tuple[str, ...], fix: str) -> PydanticCustomError:
    """Keys that contradict each other, and the way out: `config.explain` shows all three."""
    return PydanticCustomError("combination", "{what}", {"what": what, "keys": keys, "fix": fix})


def kind_of(value: Any) -> str:
    """Which kind of model or data a table describes: its name, or the family the name is of."""
    name = value.get("name", "") if isinstance(value, dict) else getattr(value, "name", "")
    text = str(name)
    if text.startswith("torchvision:"):
        return "torchvision"
    return "user" if re.match(USER_CODE, text) else text


def _duration(value: Any) -> Any:
    return units.parse_duration_s(value) if isinstance(value, str) else value


def _size(value: Any) -> Any:
    return units.parse_size_bytes(value) if isinstance(value, str) else value


_DURATION_SCHEMA = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "string", "examples": ["200ms", "5m", "1.5h"]},
    ]
}
Seconds = Annotated[
    float, BeforeValidator(_duration), Field(gt=0), WithJsonSchema(_DURATION_SCHEMA)
]
_SIZE_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 1},
        {"type": "string", "examples": ["512MB", "4GiB"]},
    ]
}
Size = Annotated[int, BeforeValidator(_size), Field(ge=1), WithJsonSchema(_SIZE_SCHEMA)]  # bytes
Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
