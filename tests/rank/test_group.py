"""Groups form, sum, pass along, and break without leaving anybody waiting."""

from __future__ import annotations

import threading

import pytest
import torch

from evener.contract import LOOPBACK
from evener.rank.group import Group, GroupBroken, StoreHost, form, receive_bytes, send_bytes
from tests.rank.ring import in_group, make_generation


def test_ranks_sum() -> None:
    def work(group: Group) -> float:
        return float(group.sum(torch.tensor([group.index + 1.0]))[0])

    assert in_group(3, work) == [6.0, 6.0, 6.0]


def test_alone_there_is_nothing_to_sum() -> None:
    assert in_group(1, lambda g: float(g.sum(torch.tensor([5.0]))[0])) == [5.0]


def test_bytes_travel() -> None:
    message = bytes(range(256)) * 1000

    def work(group: Group) -> bytes:
        if group.index == 0:
            send_bytes(group, message, 1)
            return message
        return receive_bytes(group, 0)

    assert in_group(2, work) == [message, message]


def test_one_process_forms_many_generations() -> None:
    stores = [StoreHost(LOOPBACK) for _ in range(2)]
    for _ in range(5):
        generation = make_generation(stores)
        sums: list[float] = []

        def one(index: int, generation=generation, sums=sums) -> None:  # type: ignore[no-untyped-def]
            group = form(generation, index, stores[index].port, 10, lambda _: None)
            sums.append(float(group.sum(torch.ones(1))[0]))

        threads = [threading.Thread(target=one, args=(i,)) for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert sums == [2.0, 2.0]


def test_breaking_up_unblocks_a_sum_that_waits() -> None:
    stores = [StoreHost(LOOPBACK) for _ in range(2)]
    generation = make_generation(stores)
    raised = threading.Event()
    formed = threading.Barrier(3)
    groups: dict[int, Group] = {}

    def one(index: int) -> None:
        groups[index] = form(generation, index, stores[index].port, 10, lambda _: None)
        formed.wait(10)
        if index == 0:
            with pytest.raises(GroupBroken):
                groups[0].sum(torch.ones(1))  # rank 1 never comes
            raised.set()

    threads = [threading.Thread(target=one, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    formed.wait(10)
    groups[0].break_up()
    assert raised.wait(10)
    for thread in threads:
        thread.join(10)


def test_breaking_up_ends_a_forming_that_waits_for_somebody() -> None:
    stores = [StoreHost(LOOPBACK) for _ in range(2)]
    generation = make_generation(stores)
    breakers: list[object] = []
    registered = threading.Event()

    def register(breaker: object) -> None:
        breakers.append(breaker)
        registered.set()

    errors: list[BaseException] = []

    def one() -> None:
        try:
            form(generation, 0, stores[0].port, 60, register)
        except GroupBroken as error:
            errors.append(error)

    thread = threading.Thread(target=one)
    thread.start()
    assert registered.wait(10)
    breakers[0]()  # type: ignore[operator]
    thread.join(20)
    assert not thread.is_alive()
    assert len(errors) == 1


def test_a_member_that_never_comes_breaks_the_forming_in_time() -> None:
    store = StoreHost(LOOPBACK)
    absent = StoreHost(LOOPBACK)
    with pytest.raises(GroupBroken, match="not all 2 ranks came"):
        form(make_generation([store, absent]), 0, store.port, 0.2, lambda _: None)


def test_a_source_that_is_gone_breaks_the_forming() -> None:
    store = StoreHost(LOOPBACK)
    generation = make_generation([store, store], source=1)
    gone = generation.members[1]
    members = (generation.members[0], type(gone)(gone.agent, 1, 0, LOOPBACK, 1))
    dead = type(generation)(generation.ballot, members, -1, 1)
    with pytest.raises(GroupBroken):
        form(dead, 0, store.port, 1.0, lambda _: None)
