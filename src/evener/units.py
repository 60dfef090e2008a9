"""How quantities are read from people and written for them: sizes, durations, rates, counts."""

from __future__ import annotations

import math
import re

_SIZES = {"": 1, "B": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SIZES |= {k + "B": v for k, v in _SIZES.items() if k not in ("", "B")}
_SIZES |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_DURATIONS = {"": 1.0, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?)\s*([A-Za-z]*)\s*")


def parse_size_bytes(text: str | int) -> int:
    """`2GiB`, `500 MB`, `1024`: bytes. Decimal units are decimal, as on a disk's label."""
    return int(_parse(text, {k.upper(): float(v) for k, v in _SIZES.items()}, "size", upper=True))


def parse_duration_s(text: str | float) -> float:
    """`90`, `5m`, `1.5 h`, `200ms`: seconds."""
    return _parse(text, _DURATIONS, "duration", upper=False)


def parse_numbers(text: str) -> tuple[int, ...]:
    """`0-3,8`: 0, 1, 2, 3, 8, as processors are listed."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return tuple(sorted(found))


def _parse(text: str | float, table: dict[str, float], what: str, *, upper: bool) -> float:
    match = _NUMBER.fullmatch(str(text))
    unit = (match[2].upper() if upper else match[2]) if match else ""
    if match is None or unit not in table:
        known = ", ".join(k for k in table if k)
        raise ValueError(f"{text!r} is no {what}; write a number and one of {known}")
    return float(match[1]) * table[unit]


def show_size(size_bytes: float) -> str:
    """`1.4 MB`: three figures at most, decimal units."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(size_bytes) < 999.5 or unit == "TB":
            digits = 0 if unit == "B" or abs(size_bytes) >= 99.95 else 1
            return f"{size_bytes:.{digits}f} {unit}"
        size_bytes /= 1000
    raise AssertionError("unreachable")


def show_duration(seconds: float) -> str:
    """`350 ms`, `4.2 s`, `3 min 20 s`, `2 h 05 min`, `3 d 4 h`: two units at most."""
    if not math.isfinite(seconds):
        return "?"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24} h"


def show_interval(seconds: float) -> str:
    """`1.23 s`, `9.76 ms`, `12.0 µs`: three figures, for times that are compared."""
    if not math.isfinite(seconds):
        return "?"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= 0.9995 * size or unit == "µs":
            number = seconds / size
            digits = 0 if number >= 99.95 else 1 if number >= 9.995 else 2
            return f"{number:.{digits}f} {unit}"
    raise AssertionError("unreachable")


def show_count(number: float) -> str:
    """`812`, `12.2k`, `11.2M`: a count a person compares, not adds up."""
    for unit in ("", "k", "M", "G"):
        if abs(number) < 999.5 or unit == "G":
            digits = 0 if unit == "" and number >= 100 else 1
            text = f"{number:.{digits}f}"
            return (text.removesuffix(".0") if unit == "" else text) + unit
        number /= 1000
    raise AssertionError("unreachable")
