"""Rows of tokens: a sample is `block` tokens and the same moved by one. And the tokens format.

An epoch cuts the training tokens at every `block`-th place, beginning at an offset of its own, so
that over the epochs every cut is seen and in each of them every token once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evener.config.schema import Bigram, Gpt, Job, Tokens, UserModel
from evener.data import cache, draws
from evener.data.dataset import DataSet, Ids, Report
from evener.data.mapped import Mapped
from evener.data.tokenizers import Bpe
from evener.errors import DataDamaged, DataMissing, DataTooSmall, LabelOutOfRange, WrongValue
from evener.shape import Shape

if TYPE_CHECKING:
    import torch

_PURPOSE = 0x0FF5E7  # keeps the offsets apart from every other use of the seed
_USUAL_BLOCK = 64
_GPT2_VOCABULARIES = (50_257, 50_304)  # its own, and nanoGPT's, rounded up for speed
_CHUNK = 1 << 24


@dataclass(frozen=True)
class Blocks:
    """Tokens `first` to `last` of a file. Without a seed every epoch begins at the first."""

    tokens: Mapped
    first: int
    last: int
    block: int
    seed: int | None = None

    def __len__(self) -> int:
        """Each needs one token beyond its last, and offsets below `block` must fit as well."""
        count = self.last - self.first
        return max(0, (count - (1 if self.seed is None else self.block)) // self.block)

    def offset(self, epoch: int) -> int:
        return 0 if self.seed is None else draws.key(self.seed, _PURPOSE, epoch) % self.block

    def fetch(self, ids: Ids, epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        starts = ids * self.block + (self.first + self.offset(epoch))
        rows = self.tokens.array[starts[:, None] + np.arange(self.block + 1)]
        inputs, targets = rows[:, :-1].astype(np.int64), rows[:, 1:].astype(np.int64)
        return torch.from_numpy(inputs), torch.from_numpy(targets)


def open_tokens(config: Tokens, job: Job) -> DataSet:
    folder = Path(config.path)
    block = block_size(job)
    stored = [_open_file(folder / name) for name in ("train.bin", "val.bin")]
    train = Blocks(stored[0], 0, len(stored[0].array), block, job.train.seed)
    validation = Blocks(stored[1], 0, len(stored[1].array), block)
    check_length(train, folder / "train.bin", "training")
    check_length(validation, folder / "val.bin", "validation")
    codec = Bpe("gpt2") if config.vocabulary in _GPT2_VOCABULARIES else None
    return DataSet(train, validation, Shape("tokens", (block,), config.vocabulary), codec)


def check_range(config: Tokens, report: Report) -> None:
    """Every token is one that the model knows. Reads both files whole, once per version."""
    for name in ("train.bin", "val.bin"):
        path = Path(config.path) / name
        folder = cache.entry("highest", (cache.of_file(path),), _note_highest(path, report))
        highest = int((folder / "token").read_text("ascii"))
        if highest >= config.vocabulary:
            raise LabelOutOfRange(
                f"{name} has token {highest}, but the vocabulary ends at {config.vocabulary - 1}",
                where=str(path),
                fix=f"set data.vocabulary = {highest + 1} or more, or check that the file holds "
                "16-bit tokens",
            )


def _note_highest(path: Path, report: Report) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        tokens = _open_file(path).array
        highest = 0
        for first in range(0, len(tokens), _CHUNK):
            highest = max(highest, int(tokens[first : first + _CHUNK].max()))
            report(f"checking {path.name}", 2 * min(first + _CHUNK, len(tokens)), tokens.nbytes)
        (folder / "token").write_text(str(highest), "ascii")

    return fill


def _open_file(path: Path) -> Mapped:
    if not path.is_file():
        what = f"{path.name} is not there"
        fix = "put train.bin and val.bin there, 16-bit tokens as nanoGPT's prepare.py writes them"
        raise DataMissing(what, where=str(path.parent), fix=fix)
    size_bytes = path.stat().st_size
    if size_bytes % 2:
        what = f"{path.name} has {size_bytes} bytes, an odd number: no file of 16-bit tokens"
        raise DataDamaged(what, where=str(path), fix="copy it anew; it seems to be cut off")
    if not size_bytes:
        raise DataTooSmall(f"{path.name} is empty", where=str(path), fix="write it again")
    return Mapped(path, "<u2")


def block_size(job: Job) -> int:
    """Tokens in a sample: the model's context. A model of the user's names it in its args."""
    if isinstance(job.model, Gpt | Bigram):
        return job.model.block_size
    own = job.model.args.get("block_size") if isinstance(job.model, UserModel) else None
    if own is None:
        return _USUAL_BLOCK
    if not isinstance(own, int) or own < 1:
        what = f"block_size is {own!r}; text needs a whole number of tokens, at least 1"
        raise WrongValue(what, where="model.args.block_size", fix="block_size = 64")
    return own


def check_length(blocks: Blocks, path: Path | str, part: str) -> None:
    """There is at least one sample."""
    if not len(blocks):
        needed = blocks.block + 1 if blocks.seed is None else 2 * blocks.block
        raise DataTooSmall(
            f"{blocks.last - blocks.first} tokens are for {part}; one sample of {blocks.block} "
            f"tokens needs at least {needed}",
            where=str(path),
            fix=f"take a longer text, or a model with a block_size below {blocks.block}",
        )
