"""TensorBoard's event files, as much of their format as numbers and texts need. Pure.

A file is a row of frames, each with checksums of its own (TFRecord), and each frame an `Event` in
the encoding of Protocol Buffers. Both are small enough to be written here: TensorBoard itself
need not be installed where the run is.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping

VERSION = "brain.Event:2"
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5  # how a field is written
_MASK = (1 << 64) - 1
_STRING = 7  # a tensor's type
_START = 1  # a session's


def opened(time: float) -> bytes:
    """The first frame of every file."""
    return _event(time, 0, _bytes(3, VERSION.encode()))


def begun(time: float, step: int) -> bytes:
    """Says that what was told of `step` and later steps holds no more."""
    return _event(time, step, _bytes(7, _whole(1, _START)))


def numbers(time: float, step: int, values: Mapping[str, float]) -> bytes:
    told = (_bytes(1, _bytes(1, tag.encode()) + _float(2, v)) for tag, v in values.items())
    return _event(time, step, _bytes(5, b"".join(told)))


def text(time: float, step: int, tag: str, said: str) -> bytes:
    """TensorBoard reads it as Markdown."""
    shape = _bytes(2, _whole(1, 1))  # one dimension, of one
    tensor = _whole(1, _STRING) + _bytes(2, shape) + _bytes(8, said.encode())
    plugin = _bytes(1, _bytes(1, b"text"))
    value = _bytes(1, tag.encode()) + _bytes(8, tensor) + _bytes(9, plugin)
    return _event(time, step, _bytes(5, _bytes(1, value)))


def _event(time: float, step: int, what: bytes) -> bytes:
    return frame(_double(1, time) + _whole(2, step) + what)


def frame(content: bytes) -> bytes:
    length = struct.pack("<Q", len(content))
    return b"".join((length, masked(length), content, masked(content)))


# --------------------------------------------------------------------------- the fields


def _whole(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value & _MASK)


def _double(number: int, value: float) -> bytes:
    return _varint(number << 3 | _EIGHT_BYTES) + struct.pack("<d", value)


def _float(number: int, value: float) -> bytes:
    """What four bytes cannot hold is as good as infinite."""
    try:
        packed = struct.pack("<f", value)
    except OverflowError:
        packed = struct.pack("<f", math.copysign(math.inf, value))
    return _varint(number << 3 | _FOUR_BYTES) + packed


def _bytes(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; all but the last byte have the eighth."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


# ------------------------------------------------------------------------- the checksum


def _of_byte(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value


_TABLE = tuple(map(_of_byte, range(256)))


def crc32c(content: bytes) -> int:
    """Castagnoli's, a byte at a time: some ten microseconds for a step's numbers."""
    table, crc = _TABLE, 0xFFFFFFFF
    for byte in content:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def masked(content: bytes) -> bytes:
    """Turned and moved, so that a checksum of what holds a checksum is no special case."""
    crc = crc32c(content)
    turned = (crc >> 15 | crc << 17) & 0xFFFFFFFF
    return struct.pack("<I", (turned + 0xA282EAD8) & 0xFFFFFFFF)
