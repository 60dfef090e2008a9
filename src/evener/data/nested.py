"""Batches of any form that collate functions make: tuples, lists, tables, and what is in them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any


def mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    """`value` in the same form, with `function` of everything that is no container."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(mapped(v, function) for v in value))
    if isinstance(value, tuple | list):
        return type(value)(mapped(v, function) for v in value)
    if isinstance(value, MutableMapping):  # a class of its own keeps what else it holds
        found = copy.copy(value)
        for key in value:
            found[key] = mapped(value[key], function)
        return found
    if isinstance(value, Mapping):
        return {key: mapped(value[key], function) for key in value}
    return function(value)
