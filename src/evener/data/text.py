"""Text: tokenised once into the cache, and cut into a training and a validation part."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from evener.config.schema import Job, Text
from evener.data import cache, tokens
from evener.data.corpus import Corpus, find_corpus
from evener.data.dataset import DataSet, Report
from evener.data.mapped import Mapped
from evener.data.tokenizers import Bpe, Byte, Char, Tokenizer
from evener.errors import DataTooSmall
from evener.shape import Shape

_USUAL_BPE = "gpt2"
_CODE_POINTS = 0x110000


def open_text(config: Text, job: Job, report: Report) -> DataSet:
    corpus = find_corpus(config.path)
    if not corpus.size_bytes:
        raise DataTooSmall("the text is empty", where=corpus.where, fix="take a longer text")
    stored, tokenizer = _tokenised(corpus, config.tokenizer, report)
    block = tokens.block_size(job)
    count = len(stored.array)
    border = int(count * (1 - config.validation))
    train = tokens.Blocks(stored, 0, border, block, job.train.seed)
    validation = tokens.Blocks(stored, border, count, block)
    tokens.check_length(train, corpus.where, "training")
    tokens.check_length(validation, corpus.where, "validation (data.validation)")
    return DataSet(train, validation, Shape("tokens", (block,), tokenizer.size), tokenizer)


def _tokenised(corpus: Corpus, wanted: str, report: Report) -> tuple[Mapped, Tokenizer]:
    """The tokens' file and what made them; from the cache if this text was here before."""

    def fill(folder: Path) -> None:
        tokenizer = _tokenizer(wanted, corpus)
        dtype = "<u2" if tokenizer.size <= 1 << 16 else "<u4"
        total, done = corpus.size_bytes, 0
        with (folder / "tokens.bin").open("wb") as file:
            for read, numbers in _numbers(tokenizer, corpus):
                file.write(numbers.astype(dtype).tobytes())
                done += read
                report(f"tokenising {corpus.where}", done, total)
        about = {"dtype": dtype, "vocabulary": getattr(tokenizer, "vocabulary", "")}
        (folder / "about.json").write_text(json.dumps(about), "ascii")

    folder = cache.entry("tokens", (wanted, corpus.digest()), fill)
    about = json.loads((folder / "about.json").read_text("ascii"))
    tokenizer = Char(about["vocabulary"]) if wanted == "char" else _tokenizer(wanted, corpus)
    return Mapped(folder / "tokens.bin", about["dtype"]), tokenizer


def _tokenizer(wanted: str, corpus: Corpus) -> Tokenizer:
    if wanted == "char":
        return Char(_vocabulary(corpus))
    return Byte() if wanted == "byte" else Bpe(wanted.partition(":")[2] or _USUAL_BPE)


def _vocabulary(corpus: Corpus) -> str:
    seen = np.zeros(_CODE_POINTS, bool)
    for piece in corpus.pieces():
        seen[_code_points(piece)] = True
    return "".join(map(chr, np.flatnonzero(seen).tolist()))


def _numbers(tokenizer: Tokenizer, corpus: Corpus) -> Iterator[tuple[int, npt.NDArray[np.integer]]]:
    """The tokens piece by piece, each with the bytes of text it was read from.

    Byte pairs may cross any border but that of a document, so these come whole.
    """
    if isinstance(tokenizer, Byte):
        for block in corpus.blocks():
            yield len(block), np.frombuffer(block, np.uint8)
    elif isinstance(tokenizer, Char):
        table = np.zeros(_CODE_POINTS, np.uint32)
        table[_code_points(tokenizer.vocabulary)] = np.arange(tokenizer.size)
        for piece in corpus.pieces():
            yield len(piece.encode()), table[_code_points(piece)]
    else:
        for text in corpus.texts():
            yield len(text.encode()), np.array(tokenizer.encode(text), np.int64)


def _code_points(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), "<u4")
