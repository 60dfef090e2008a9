"""Any value of our frozen types, drawn by hypothesis from their annotations."""

from __future__ import annotations

import types
import typing
from dataclasses import fields, is_dataclass
from typing import Any

from hypothesis import strategies as st

finite = st.floats(allow_nan=False, allow_infinity=False)
whole = st.integers(-(2**63), 2**63 - 1)  # what SQLite holds
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | whole | finite | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(st.text(), json_values, max_size=3)


def of(hint: Any) -> st.SearchStrategy[Any]:
    """Values of the annotated type; what may be anything is what JSON can carry."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        drawn = {f.name: of(hints[f.name]) for f in fields(hint)}
        return st.builds(typing.cast(Any, hint), **drawn)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*map(of, inner))
    if origin is tuple:
        return st.lists(of(inner[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(of(inner[0]), of(inner[1]), max_size=3)
    if hint in (float, int, Any):
        return {float: finite, int: whole, Any: json_values}[hint]
    return st.from_type(hint)
