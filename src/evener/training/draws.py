"""Random numbers that belong to the samples of a step, whoever computes which of them."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def normal(
    key: tuple[int, ...], start: int, samples: int, whole: int, shape: tuple[int, ...]
) -> Tensor:
    """Those of `samples` from `start` on: all `whole` are drawn, for a draw depends on those before
    it, and what is the same for all ranks is cheap."""
    digest = hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=8).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)
    drawn = torch.randn(whole, *shape, generator=generator)
    return drawn[start : start + samples]
