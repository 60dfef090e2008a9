"""A checkpoint as one file to take away: a tar of its folder, made while it is sent."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

BLOCK_BYTES = 256 * 1024
_RECORD_BYTES = 10240  # tar's own unit: the end is filled up to it


def tar(folder: Path) -> Iterator[bytes]:
    """Nothing is compressed (weights hardly are) and nothing is held: block by block."""
    sent = 0
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        for block in _entry(path):
            sent += len(block)
            yield block
    yield bytes(_filled(sent + 2 * tarfile.BLOCKSIZE) - sent)


def _entry(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        stat = path.stat()
        entry = tarfile.TarInfo(f"{path.parent.name}/{path.name}")
        entry.size, entry.mtime = stat.st_size, stat.st_mtime
        yield entry.tobuf(tarfile.PAX_FORMAT)
        yield from _blocks(file, entry.size)


def _blocks(file: BinaryIO, size: int) -> Iterator[bytes]:
    left = size
    while left:
        block = file.read(min(BLOCK_BYTES, left))
        if not block:
            raise OSError("the checkpoint became shorter while it was sent")
        left -= len(block)
        yield block
    yield bytes(-size % tarfile.BLOCKSIZE)


def _filled(size: int) -> int:
    return -(-size // _RECORD_BYTES) * _RECORD_BYTES
