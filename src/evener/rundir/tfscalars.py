"""TensorBoard's event files, read: the numbers in them by step, as a file grows. Pure.

What `tfevents` writes, and what others' writers make of the same format: numbers as such, and as
tensors of one number. Pictures, graphs and distributions are passed over.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from evener.rundir.tfevents import masked

MOST_BYTES = 2**16  # of a frame with numbers in it; longer ones are passed over unread
_HEAD, _TAIL = 12, 4  # length with its checksum, the content's
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5
_FLOAT, _DOUBLE = 1, 2  # a tensor's type
_SIZES = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}


@dataclass(frozen=True, slots=True)
class Scalars:
    """The numbers of one frame."""

    step: int
    time: float
    values: dict[str, float]


def read(content: bytes) -> tuple[list[Scalars], int]:
    """What whole frames at the beginning of `content` say, and how many bytes they are: they may
    be more than are there, where a frame is long and is passed over. ValueError where there is
    none: nothing after it can be found."""
    found: list[Scalars] = []
    at = 0
    while len(content) - at >= _HEAD:
        head = content[at : at + 8]
        if masked(head) != content[at + 8 : at + _HEAD]:
            raise ValueError("a frame's length is not what its checksum says")
        (length,) = struct.unpack("<Q", head)
        end = at + _HEAD + length + _TAIL
        if length <= MOST_BYTES:
            if end > len(content):
                break
            scalars = _event(content[at + _HEAD : end - _TAIL])
            found += [scalars] if scalars.values else []
        at = end
    return found, at


def _event(content: bytes) -> Scalars:
    time, step = 0.0, 0
    values: dict[str, float] = {}
    for number, value in _fields(content):
        match number, value:
            case 1, bytes():
                (time,) = struct.unpack("<d", value)
            case 2, int():
                step = value - (1 << 64) if value >> 63 else value
            case 5, bytes():
                values |= dict(_summary(value))
    return Scalars(step, time, values)


def _summary(content: bytes) -> Iterator[tuple[str, float]]:
    for number, value in _fields(content):
        if number == 1 and isinstance(value, bytes):
            said = dict(_fields(value))  # of each field the last, as everywhere in this encoding
            tag, plain, tensor = said.get(1), said.get(2), said.get(8)
            known = _number(plain) if isinstance(plain, bytes) else None
            known = _of_tensor(tensor) if known is None and isinstance(tensor, bytes) else known
            if isinstance(tag, bytes) and known is not None:
                yield tag.decode(errors="replace"), known


def _of_tensor(content: bytes) -> float | None:
    said = dict(_fields(content))
    kind = said.get(1)
    places = {_FLOAT: (5, 4), _DOUBLE: (6, 4)}.get(kind if isinstance(kind, int) else 0, ())
    for place in places:
        value = said.get(place)
        if isinstance(value, bytes) and len(value) == (4 if kind == _FLOAT else 8):
            return _number(value)
    return None


def _number(value: bytes) -> float:
    known: float = struct.unpack("<f" if len(value) == 4 else "<d", value)[0]
    return known


def _fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """By number: whole numbers as such, all else as bytes."""
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(content, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(content, at)
        elif kind in _SIZES:
            size = _SIZES[kind]
        else:
            raise ValueError(f"a field of kind {kind}")
        if at + size > len(content):
            raise ValueError("a field is longer than what it is in")
        yield number, content[at : at + size]
        at += size


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            break
        byte, at = content[at], at + 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number without an end")
