"""Several ranks as threads of one process: real groups over loopback, no agents."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from evener.contract import LOOPBACK
from evener.membership.generation import Ballot, Generation, Member
from evener.rank.group import Group, StoreHost, form

_ballots = iter(range(1, 1_000_000))


def make_generation(stores: list[StoreHost], step: int = -1, source: int = 0) -> Generation:
    members = tuple(Member("a00", i, 0, LOOPBACK, s.port) for i, s in enumerate(stores))
    return Generation(Ballot(next(_ballots), "a00"), members, step, source)


def in_group(size: int, work: Callable[[Group], Any], timeout_s: float = 20.0) -> list[Any]:
    """`work(group)` on every one of `size` ranks at once; their results, or the first error."""
    stores = [StoreHost(LOOPBACK) for _ in range(size)]
    generation = make_generation(stores)
    results: list[Any] = [None] * size
    errors: list[BaseException] = []
    groups: list[Group] = []

    def one(index: int) -> None:
        try:
            group = form(generation, index, stores[index].port, timeout_s, lambda _: None)
            groups.append(group)
            results[index] = work(group)
        except BaseException as error:  # noqa: BLE001  (the test sees it)
            errors.append(error)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for group in groups:
        group.close()
    if errors:
        raise errors[0]
    return results
