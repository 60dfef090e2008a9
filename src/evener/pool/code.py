"""What is typed on a machine to join, or for an image: addresses, port, secret and fingerprint in
one short code.

Crockford's base32: no letter is taken for a digit, case and dashes do not matter. The last two
letters are a check, so that a slip of the finger is told from a code that is no longer valid.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass

from evener import errors

PORT = 7077  # that of a pool, where nothing else is asked for
SECRET_BYTES, PIN_BYTES = 8, 12
MOST_ADDRESSES = 3
_VERSION = 1
_GROUP = 5
_CHECK = 2
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES = {digit: value for value, digit in enumerate(_DIGITS)} | {"O": 0, "I": 1, "L": 1}
# Beside the number of IPv4 addresses, in the first byte.
_HAS_PORT, _HAS_V6, _OF_IMAGE = 4, 8, 16


@dataclass(frozen=True, slots=True)
class Code:
    """`secret` and `pin` are hexadecimal; the pin is the beginning of the fingerprint. `image`
    where nothing but an image is to be had."""

    addresses: tuple[str, ...]
    port: int
    secret: str
    pin: str
    image: bool = False


def encode(code: Code) -> str:
    """In groups of five. IPv4 addresses first, and one IPv6 address at most."""
    found = [ipaddress.ip_address(address) for address in code.addresses]
    four = [a for a in found if isinstance(a, ipaddress.IPv4Address)][:MOST_ADDRESSES]
    six = [a for a in found if isinstance(a, ipaddress.IPv6Address)][:1]
    head = _VERSION << 5 | len(four) | _HAS_PORT * (code.port != PORT) | _HAS_V6 * bool(six)
    head |= _OF_IMAGE * code.image
    data = bytes([head]) + (code.port.to_bytes(2, "big") if code.port != PORT else b"")
    data += b"".join(a.packed for a in four) + b"".join(a.packed for a in six)
    text = _digits(data + bytes.fromhex(code.secret) + bytes.fromhex(code.pin))
    text += _check(text)
    return "-".join(text[i : i + _GROUP] for i in range(0, len(text), _GROUP))


def decode(typed: str, where: str = "evener join") -> Code:
    """Raises CodeRefused where that is none, or a letter of it is wrong."""
    try:
        return _decoded(typed)
    except ValueError as wrong:
        raise errors.CodeRefused(
            f"that is no code: {wrong}",
            where=where,
            fix="copy the line that the other machine prints; for a pool `evener token new` there "
            "prints another",
        ) from None


def _decoded(typed: str) -> Code:
    text = re.sub(r"[\s-]", "", typed).upper()
    values = [_VALUES.get(letter, -1) for letter in text]
    if -1 in values:
        raise ValueError(f"{text[values.index(-1)]!r} is no letter of a code")
    plain = "".join(_DIGITS[value] for value in values)
    if len(plain) <= _CHECK or _check(plain[:-_CHECK]) != plain[-_CHECK:]:
        raise ValueError("a letter of it is wrong or missing")
    data = _bytes(plain[:-_CHECK])
    if data[0] >> 5 != _VERSION:
        raise ValueError("it is of another version of evener")
    try:
        return _parts(data)
    except (ValueError, IndexError):
        raise ValueError("a part of it is missing") from None


def _parts(data: bytes) -> Code:
    head, rest = data[0], data[1:]
    port = PORT
    if head & _HAS_PORT:
        port, rest = int.from_bytes(rest[:2], "big"), rest[2:]
    addresses = []
    for size in (4,) * (head & 3) + (16,) * bool(head & _HAS_V6):
        addresses.append(str(ipaddress.ip_address(rest[:size])))
        rest = rest[size:]
    if len(rest) != SECRET_BYTES + PIN_BYTES:
        raise ValueError(len(rest))
    secret, pin = rest[:SECRET_BYTES].hex(), rest[SECRET_BYTES:].hex()
    return Code(tuple(addresses), port, secret, pin, image=bool(head & _OF_IMAGE))


def _digits(data: bytes) -> str:
    bits = len(data) * 8
    padded = int.from_bytes(data, "big") << (-bits % 5)
    count = (bits + 4) // 5
    return "".join(_DIGITS[padded >> 5 * i & 31] for i in reversed(range(count)))


def _bytes(text: str) -> bytes:
    bits = len(text) * 5
    value = 0
    for digit in text:
        value = value << 5 | _VALUES[digit]
    return (value >> bits % 8).to_bytes(bits // 8, "big")


def _check(text: str) -> str:
    """1023 of 1024 slips are seen."""
    found = int.from_bytes(hashlib.sha256(text.encode()).digest()[:2], "big")
    return _DIGITS[found >> 5 & 31] + _DIGITS[found & 31]
