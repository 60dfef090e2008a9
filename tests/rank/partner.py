"""A rank in a process of its own, which a test may freeze: `python -m tests.rank.partner WORK`.

Says its store's port, is told everybody's, forms the group as its last rank, says so, and then
does WORK until it is killed: `sums` of large tensors, or `receives` one that is larger.
"""

from __future__ import annotations

import json
import os
import sys

import torch

from evener.contract import LOOPBACK
from evener.membership.generation import Ballot, Generation, Member
from evener.rank.group import Group, GroupBroken, StoreHost, form

SUMMED, PASSED = 1 << 20, 1 << 24  # numbers: more than the sockets between two ranks hold
BROKEN = 7  # its exit status, once it hears that its group broke


def as_generation(number: int, ports: list[int]) -> Generation:
    members = tuple(Member("a00", i, 0, LOOPBACK, port) for i, port in enumerate(ports))
    return Generation(Ballot(number, "a00"), members, -1, 0)


def say(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main(work: str) -> None:
    store = StoreHost(LOOPBACK)
    say(store.port)
    number, *ports = json.loads(sys.stdin.readline())
    index = len(ports) - 1
    group = form(as_generation(number, ports), index, store.port, 20, lambda _: None)
    tensor = torch.ones(PASSED)
    say("formed")
    while True:
        if work == "sums":
            sum_twice(group)
        else:
            group.receive(tensor, 0)


def sum_twice(group: Group) -> None:
    """Both are under way at once, as the pieces of a step's gradients are."""
    waits = [group.sum_async(torch.ones(SUMMED)) for _ in range(2)]
    for wait in waits:
        wait()


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except GroupBroken:
        os._exit(BROKEN)  # at once: Gloo may hold on to what it did not end
