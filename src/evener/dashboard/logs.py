"""Pieces of a run's logs: from any byte on, or the lines that hold a text. Never a whole file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from evener.rundir.layout import RunDir

PIECE_BYTES, MOST_BYTES = 64 * 1024, 1024 * 1024
SEARCHED_BYTES = 16 * 2**20  # in one answer: the next one goes on from there
MATCHES, LINE_CHARACTERS = 200, 2000
_NAME = re.compile(r"(rank_\d+|agent_[\w.-]+|head|janitor)\.log")


def listed(run: RunDir) -> list[dict[str, Any]]:
    """Ranks first, by number."""
    found = [p for p in run.logs.glob("*.log") if _NAME.fullmatch(p.name)]
    return [{"name": p.name, "size_bytes": p.stat().st_size} for p in sorted(found, key=_order)]


def _order(path: Path) -> tuple[bool, int, str]:
    number = re.search(r"\d+", path.name)
    return not path.name.startswith("rank_"), int(number[0]) if number else 0, path.name


def named(run: RunDir, name: str) -> Path | None:
    """The log of that name, if it is one of a run and there."""
    path = run.logs / name
    return path if _NAME.fullmatch(name) and path.is_file() else None


def piece(path: Path, start: int, length: int) -> dict[str, Any]:
    """`length` bytes from `start` on; a negative start counts from the end."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        start = max(size + start, 0) if start < 0 else min(start, size)
        file.seek(start)
        data = _whole_characters(file.read(min(max(length, 0), MOST_BYTES)))
    text = data.decode(errors="replace")
    return {"from": start, "to": start + len(data), "size_bytes": size, "text": text}


def _whole_characters(data: bytes) -> bytes:
    """Without the first bytes of a character whose rest comes in the next piece."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue  # inside of a character
        length = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        return data[:-back] if back < length and back < len(data) else data
    return data


def find(path: Path, text: str, start: int) -> dict[str, Any]:
    """Lines from `start` on that hold `text`, in any case, as many as one answer takes. `to` is
    where to go on from."""
    wanted, matches = text.casefold(), list[dict[str, Any]]()
    with path.open("rb") as file:
        size = file.seek(0, 2)
        at = min(max(start, 0), size)
        file.seek(at)
        until = at + SEARCHED_BYTES
        while at < until and len(matches) < MATCHES:
            line = file.readline(MOST_BYTES)
            if not line:
                break
            shown = line.decode(errors="replace").rstrip("\r\n")
            if wanted in shown.casefold():
                matches.append({"at": at, "line": shown[:LINE_CHARACTERS]})
            at += len(line)
    return {"matches": matches, "to": at, "size_bytes": size}
