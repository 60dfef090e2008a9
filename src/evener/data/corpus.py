"""The text of a job: its files in one order on every system, read piece by piece."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from evener.errors import DataDamaged, DataMissing

MANUAL = "builtin:python-manual"
_SUFFIXES = (".txt", ".md", ".py")
_BLOCK = 1 << 22  # bytes read at once


@dataclass(frozen=True, slots=True)
class Document:
    """A part of the text: a file, or with `content` what Python brings along."""

    name: str
    path: Path | None = None
    content: bytes = b""

    def blocks(self) -> Iterator[bytes]:
        if self.path is None:
            yield self.content
            return
        with self.path.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block

    def pieces(self) -> Iterator[str]:
        """Decoded; a file that is no UTF-8 is named, with the place in it."""
        decoder, done = codecs.getincrementaldecoder("utf-8")(), 0
        for block in chain(self.blocks(), (b"",)):
            pending = len(decoder.getstate()[0])
            try:
                yield decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                raise DataDamaged(
                    f"{self.name} is no UTF-8 text: byte {done - pending + error.start} is "
                    f"{error.object[error.start]:#04x}",
                    where=str(self.path or self.name),
                    fix="save it as UTF-8, or use data.tokenizer = 'byte'",
                ) from error
            done += len(block)


@dataclass(frozen=True, slots=True)
class Corpus:
    """All documents, a line break between two."""

    documents: tuple[Document, ...]
    where: str

    @property
    def size_bytes(self) -> int:
        return sum(d.path.stat().st_size if d.path else len(d.content) for d in self.documents)

    def blocks(self) -> Iterator[bytes]:
        for number, document in enumerate(self.documents):
            if number:
                yield b"\n"
            yield from document.blocks()

    def pieces(self) -> Iterator[str]:
        for number, document in enumerate(self.documents):
            if number:
                yield "\n"
            yield from document.pieces()

    def texts(self) -> Iterator[str]:
        """Each document whole, with the break before the next."""
        for number, document in enumerate(self.documents):
            yield ("\n" if number else "") + "".join(document.pieces())

    def digest(self) -> str:
        digest = hashlib.sha256()
        for block in self.blocks():
            digest.update(block)
        return digest.hexdigest()


def find_corpus(path: str) -> Corpus:
    """`path` is a file, a folder or the name of the built-in text."""
    if path == MANUAL:
        return Corpus((Document(MANUAL, content=_manual()),), MANUAL)
    place = Path(path)
    if place.is_file():
        return Corpus((Document(place.name, place),), path)
    if not place.is_dir():
        fix = f"put a text file there, or set data.path; {MANUAL!r} needs no file"
        raise DataMissing("there is no such file or folder", where=path, fix=fix)
    documents = tuple(_documents(place))
    if not documents:
        what = f"the folder has no {', '.join(_SUFFIXES)} file"
        raise DataMissing(what, where=path, fix="put text files there, or set data.path")
    return Corpus(documents, path)


def _documents(folder: Path) -> Iterator[Document]:
    """Sorted by name as written with /; what is hidden stays so."""
    found = {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.suffix in _SUFFIXES and path.is_file()
    }
    for name in sorted(found):
        if not any(part.startswith(".") for part in name.split("/")):
            yield Document(name, found[name])


def _manual() -> bytes:
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name] for name in sorted(topics)).encode()
