"""Something large from one rank to several: along a chain of them, block by block.

Every link carries it once, and all of them at the same time, so the tenth has it hardly later than
the first. What arrives is held against the sender's hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from evener.rank.group import Group, GroupBroken

BLOCK_BYTES = 4 * 2**20


def send(group: Group, size_bytes: int, blocks: Iterable[Tensor], chain: Sequence[int]) -> None:
    """To all in `chain`, places in the group. `blocks` of BLOCK_BYTES each, but for the last."""
    group.send(torch.tensor([size_bytes], dtype=torch.int64), chain[0])
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block.numpy().data)
        group.send(block, chain[0])
    group.send(torch.frombuffer(bytearray(digest.digest()), dtype=torch.uint8), chain[0])


def receive(group: Group, source: int, chain: Sequence[int]) -> Tensor:
    """What `source` sends, passed on to who comes next. GroupBroken where it arrives damaged."""
    here = chain.index(group.index)
    before = chain[here - 1] if here else source
    after = chain[here + 1 : here + 2]
    passed: list[Callable[[], None]] = []

    def take(part: Tensor) -> Tensor:
        group.receive(part, before)
        while passed:
            passed.pop()()
        passed.extend(group.send_async(part, to) for to in after)
        return part

    size_bytes = int(take(torch.zeros(1, dtype=torch.int64)).item())
    data, digest = torch.empty(size_bytes, dtype=torch.uint8), hashlib.sha256()
    for part in data.split(BLOCK_BYTES):
        digest.update(take(part).numpy().data)
    told = take(torch.empty(digest.digest_size, dtype=torch.uint8)).numpy().tobytes()
    while passed:
        passed.pop()()
    if told != digest.digest():
        raise GroupBroken("a state arrived damaged")
    return data
