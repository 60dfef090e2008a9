"""Something large arrives whole at all who are to have it, whatever their order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from evener.rank import relay
from evener.rank.group import Group, GroupBroken
from tests.rank.ring import in_group


def numbers(size: int) -> Tensor:
    return (torch.arange(size) % 251).to(torch.uint8)


def blocks(size: int) -> Iterator[Tensor]:
    return iter(numbers(size).split(relay.BLOCK_BYTES))


@pytest.mark.parametrize("size", [1, relay.BLOCK_BYTES, 2 * relay.BLOCK_BYTES + 5])
@pytest.mark.parametrize("chain", [[0], [3, 0, 2]])
def test_it_arrives_at_all_of_a_chain_and_at_nobody_else(size: int, chain: list[int]) -> None:
    def work(group: Group) -> bool:
        if group.index == 1:
            relay.send(group, size, blocks(size), chain)
        elif group.index in chain:
            return torch.equal(relay.receive(group, 1, chain), numbers(size))
        return False

    assert in_group(4, work) == [i in chain for i in range(4)]


def test_what_arrives_damaged_is_refused_by_all_who_come_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    size = 2 * relay.BLOCK_BYTES
    send_async = Group.send_async

    def flip(group: Group, tensor: Tensor, to: int) -> Any:
        damaged = tensor.clone()
        if group.index == 1 and len(tensor) == relay.BLOCK_BYTES:
            damaged[7] ^= 1
        return send_async(group, damaged, to)

    def work(group: Group) -> str:
        if group.index == 0:
            relay.send(group, size, blocks(size), [1, 2])
            return "sent"
        try:
            return str(len(relay.receive(group, 0, [1, 2])))
        except GroupBroken as broken:
            return str(broken)

    monkeypatch.setattr(Group, "send_async", flip)
    assert in_group(3, work) == ["sent", str(size), "a state arrived damaged"]
