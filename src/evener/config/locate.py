"""On which line of a job file a key stands.

The parsers of TOML and JSON do not tell. This walk of the text does; it runs only on text that
one of them has accepted, so it needs no errors of its own and understands both with one scanner.
"""

from __future__ import annotations

import re

Path = tuple[str | int, ...]  # ("train", "betas", 1)
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]+")
_QUOTED = re.compile(
    r"'''.*?'{3,5}|\"\"\"(?:\\.|.)*?\"{3,5}|'[^'\n]*'|\"(?:\\.|[^\"\\\n])*\"", re.S
)


def toml_lines(text: str) -> dict[Path, int]:
    """The line of every key, table and list element of a valid TOML document."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


def json_lines(text: str) -> dict[Path, int]:
    """The line of every key and list element of a valid JSON document."""
    scanner = _Scanner(text)
    scanner.value(())
    return scanner.lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self._elements: dict[Path, int] = {}  # how many [[tables]] a path has had

    def document(self) -> None:
        """Statements of TOML: headers, and keys under the last header."""
        table: Path = ()
        while self._next():
            if self._next() == "[":
                table = self._header()
            else:
                self._pair(table)

    def value(self, path: Path) -> None:
        if self._next() == "{":
            self._members(path, "}")
        elif self._next() == "[":
            self._members(path, "]")
        elif self._next() in "\"'":
            self._take(_QUOTED)
        else:
            self._take(_SCALAR)

    def _members(self, path: Path, end: str) -> None:
        """What stands in braces or brackets: pairs or elements, separated by commas."""
        self.at += 1
        index = 0
        while self._next() != end:
            if end == "}":
                self._pair(path)
            else:
                self._mark((*path, index))
                self.value((*path, index))
            index += 1
            if self._next() == ",":
                self.at += 1
        self.at += 1

    def _pair(self, table: Path) -> None:
        self._next()
        start = self.at
        path = (*table, *self._key())
        self._mark(path, start)
        self.at += 1  # the = or the :
        self.value(path)

    def _header(self) -> Path:
        start = self.at
        repeated = self.text.startswith("[[", start)
        self.at += 2 if repeated else 1
        path = self._below_last(self._key())
        self.at += 2 if repeated else 1
        if repeated:
            count = self._elements.get(path, 0)
            self._elements[path] = count + 1
            self._mark(path, start)
            path = (*path, count)
        self._mark(path, start)
        return path

    def _below_last(self, key: Path) -> Path:
        """`[fruit.skin]` after `[[fruit]]` belongs to the last fruit."""
        path: Path = ()
        for i, part in enumerate(key):
            path = (*path, part)
            if path in self._elements and i + 1 < len(key):
                path = (*path, self._elements[path] - 1)
        return path

    def _key(self) -> Path:
        """`a`, `"a b"`, `a.b . c`; ends before whatever follows."""
        parts: list[str] = []
        while True:
            quoted = self._next() in "\"'"
            part = self._take(_QUOTED if quoted else _BARE)
            parts.append(part[1:-1] if quoted else part)
            if self._next() != ".":
                return tuple(parts)
            self.at += 1

    def _mark(self, path: Path, at: int | None = None) -> None:
        """The first line of a key and of the tables its dots made."""
        self._next()
        line = self.text.count("\n", 0, self.at if at is None else at) + 1
        for depth in range(1, len(path) + 1):
            self.lines.setdefault(path[:depth], line)

    def _next(self) -> str:
        """The character that comes next, blanks and comments skipped; "" at the end."""
        match = _BLANK.match(self.text, self.at)
        assert match is not None
        self.at = match.end()
        return self.text[self.at : self.at + 1]

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        assert match is not None, f"unreadable at {self.at}: not checked by a parser before"
        self.at = match.end()
        return match[0]
