"""Read CIFAR's python batches without trusting them: arrays and plain containers, nothing else.

A pickle is a program. This reader knows only the names an array of numbers is written with, and
gives its own harmless objects for them, so neither Python's nor numpy's constructors run on what
the file says. Any other name ends the reading.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from evener.errors import DataDamaged

_TYPES = ("u1", "i1", "i4", "i8", "|u1")  # what pixels and labels are ever stored as
_BROKEN = (
    pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError,
    OverflowError, MemoryError, RecursionError, ImportError, AssertionError, struct.error,
)  # fmt: skip


class _Type:
    """What stands where the pickle says dtype."""

    def __init__(self, name: str | bytes, *_: object) -> None:
        text = name.decode("ascii") if isinstance(name, bytes) else str(name)
        if text not in _TYPES:
            raise pickle.UnpicklingError(f"an array of type {text!r}")
        self.order = "<"
        self.name = text.removeprefix("|")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        self.order = ">" if order == ">" else "<"


class _Array:
    """What stands where the pickle says array."""

    values: npt.NDArray[Any] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, by_column, raw = state
        data = raw.encode("latin-1") if isinstance(raw, str) else raw
        if not isinstance(data, bytes):
            raise pickle.UnpicklingError(f"an array made of {type(data).__name__}")
        flat = np.frombuffer(data, kind.order + kind.name)
        if any(n < 0 for n in shape) or math.prod(shape) != flat.size:
            raise pickle.UnpicklingError(f"{flat.size} values for an array of shape {shape}")
        self.values = flat.reshape(shape, order="F" if by_column else "C")


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _encode(text: str, coding: str = "latin1") -> bytes:
    """Python 3 writes bytes as text that it encodes again, when it writes for Python 2."""
    if coding != "latin1":
        raise pickle.UnpicklingError(f"text to be encoded as {coding!r}")
    return text.encode("latin-1")


def _subtype(*_: object) -> None:
    raise pickle.UnpicklingError("an array that is made in an unusual way")


_KNOWN: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _subtype,  # only named, as the type to reconstruct; never called
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _encode,
}
for _core in ("numpy.core", "numpy._core"):
    _KNOWN[_core + ".multiarray", "_reconstruct"] = _reconstruct


class _Reader(pickle._Unpickler):
    """Python's own reader: the faster one in C allocates whatever size a file claims.

    So would the one opcode that is left out here; it came with protocol 5, which no batch uses.
    """

    dispatch: ClassVar[dict[int, Any]] = {
        opcode: load
        for opcode, load in pickle._Unpickler.dispatch.items()
        if opcode != pickle.BYTEARRAY8[0]
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _KNOWN[module, name]
        except KeyError:
            refused = f"it wants to call {module}.{name}, which no batch of images needs"
            raise pickle.UnpicklingError(refused) from None


def read_batch(data: bytes, where: str) -> dict[str, Any]:
    """The dictionary of one python batch, arrays as numpy arrays, keys as text."""
    try:
        found = _Reader(io.BytesIO(data), encoding="bytes").load()
    except _BROKEN as error:
        raise DataDamaged(
            f"not a python batch of CIFAR: {error}", where=where,
            fix="get the set again from its own address; do not use this file",
        ) from error  # fmt: skip
    if not isinstance(found, dict):
        what = f"a python batch of CIFAR is a dictionary; this is a {type(found).__name__}"
        raise DataDamaged(what, where=where, fix="get the set again from its own address")
    return {_text(key): _plain(value) for key, value in found.items()}


def _text(key: object) -> str:
    return key.decode("latin-1") if isinstance(key, bytes) else str(key)


def _plain(value: object) -> object:
    return value.values if isinstance(value, _Array) else value
