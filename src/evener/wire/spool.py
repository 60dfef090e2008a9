"""Where an outbox puts aside what the head does not take: JSON lines in files of its own.

A file has one writer, only grows, and is removed by it alone, once all of it has arrived. So
`rundir.recover` may import a spool at any time, whether its writer lives or was killed.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


class Spool:
    """Lines in, lines out, in order. Used by one thread.

    `base` gives the name (spool_a00.jsonl becomes spool_a00.LIFE-001.jsonl, ...); each time the
    spool has run empty the next file begins, so that no file ever holds other bytes than before.
    """

    def __init__(self, base: Path, life: str) -> None:
        self._base = base
        self._life = life
        self._files = 0
        self._handle = -1
        self._path = base
        self._read_bytes = 0
        self._size_bytes = 0

    @property
    def empty(self) -> bool:
        return self._read_bytes == self._size_bytes

    def append(self, lines: list[bytes]) -> None:
        """All lines or, on an OSError, none of them."""
        if self._handle == -1:
            self._begin()
        try:
            self._write(b"".join(line + b"\n" for line in lines))
        except OSError:
            os.ftruncate(self._handle, self._size_bytes)
            raise

    def peek(self, size_bytes: int) -> list[bytes]:
        """The oldest lines, about `size_bytes` of them, at least one; `drop` then removes them."""
        wanted = size_bytes
        while not self.empty:
            os.lseek(self._handle, self._read_bytes, os.SEEK_SET)
            data = os.read(self._handle, min(wanted, self._size_bytes - self._read_bytes))
            whole = data.rpartition(b"\n")[0]
            if whole:
                return whole.split(b"\n")
            if not data:
                raise OSError(f"{self._path} is shorter than what was written to it")
            wanted *= 2  # one line longer than that
        return []

    def drop(self, lines: list[bytes]) -> None:
        """These have arrived. When all have, the file goes."""
        self._read_bytes += sum(len(line) + 1 for line in lines)
        if self.empty:
            self.abandon()
            with contextlib.suppress(OSError):  # Windows, while someone imports it: it may stay
                self._path.unlink()

    def abandon(self) -> None:
        """Let go of the present file as it is; what comes next begins another."""
        if self._handle != -1:
            os.close(self._handle)
        self._handle, self._read_bytes, self._size_bytes = -1, 0, 0

    def close(self) -> None:
        """What has not arrived rests on the disk itself."""
        if self._handle != -1:
            os.fsync(self._handle)
        self.abandon()

    def _begin(self) -> None:
        self._files += 1
        name = f"{self._base.stem}.{self._life}-{self._files:03d}{self._base.suffix}"
        self._path = self._base.with_name(name)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._handle = os.open(self._path, flags | getattr(os, "O_CLOEXEC", 0), 0o600)

    def _write(self, data: bytes) -> None:
        os.lseek(self._handle, self._size_bytes, os.SEEK_SET)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._handle, rest) :]
        self._size_bytes += len(data)
