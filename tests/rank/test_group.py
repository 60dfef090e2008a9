"""Groups form, sum, pass along, and break without leaving anybody waiting."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
import torch

from evener.contract import LOOPBACK
from evener.membership.generation import Generation
from evener.rank.group import Group, GroupBroken, StoreHost, form
from tests.rank import partner
from tests.rank.ring import in_group, make_generation


def test_ranks_sum() -> None:
    def work(group: Group) -> float:
        return float(group.sum(torch.tensor([group.index + 1.0]))[0])

    assert in_group(3, work) == [6.0, 6.0, 6.0]


def test_alone_there_is_nothing_to_sum() -> None:
    assert in_group(1, lambda g: float(g.sum(torch.tensor([5.0]))[0])) == [5.0]


class EndsAfterTheLook:
    """A sum that is done a moment after a look at it gave up, as on a machine under load."""

    def __init__(self, failure: str) -> None:
        self.failure = failure
        self.looks = 0

    def allreduce(self, tensors: list[torch.Tensor]) -> EndsAfterTheLook:
        return self

    def wait(self, timeout: object = None) -> None:
        self.looks += 1
        if self.looks == 1:
            raise RuntimeError("Operation timed out!")
        if self.failure:
            raise RuntimeError(self.failure)

    def is_completed(self) -> bool:
        return True


def test_a_sum_that_ends_between_two_looks_has_ended_well() -> None:
    group = Group(make_generation([StoreHost(LOOPBACK)]), 0, 0)
    group._group = EndsAfterTheLook("")
    group.sum(torch.zeros(1))
    assert not group._works
    group._group = EndsAfterTheLook("the peer is gone")
    with pytest.raises(GroupBroken, match="the peer is gone"):
        group.sum(torch.zeros(1))


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
            thread.join(60)
        assert sums == [2.0, 2.0]


def formed(generation: Generation, stores: Sequence[StoreHost]) -> list[Group]:
    """The groups of those of its ranks which are threads of this process."""
    groups = [Group(generation, i, store.port) for i, store in enumerate(stores)]
    threads = [threading.Thread(target=g.form, args=(20,)) for g in groups]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return groups


def hear_of_the_break(groups: Sequence[Group], work: Callable[[Group], object]) -> None:
    """All of `groups` at `work`, again and again, until they are broken up, one after another."""
    heard: list[GroupBroken] = []

    def one(group: Group) -> None:
        try:
            while True:
                work(group)
        except GroupBroken as broken:
            heard.append(broken)

    threads = [threading.Thread(target=one, args=(g,), daemon=True) for g in groups]
    for thread in threads:
        thread.start()
    time.sleep(random.Random(len(groups)).uniform(0.005, 0.03))
    for group in groups:
        group.break_up()
    for thread in threads:
        thread.join(60)
    assert len(heard) == len(groups), "a rank did not hear of the break"


def test_breaking_up_unblocks_a_sum_that_waits() -> None:
    stores = [StoreHost(LOOPBACK) for _ in range(2)]
    waiting, absent = formed(make_generation(stores), stores)
    hear_of_the_break([waiting], lambda group: group.sum(torch.ones(1)))
    waiting.close()
    absent.close()


def test_a_break_at_any_moment_unblocks_everybody() -> None:
    stores = [StoreHost(LOOPBACK) for _ in range(3)]

    def work(group: Group) -> None:
        small, large = (group.sum_async(torch.ones(n)) for n in (5, 10_000))
        small()
        large()

    for _ in range(20):
        generation = make_generation(stores)
        groups = formed(generation, stores)
        hear_of_the_break(groups, work)
        for group in groups:
            group.close()


@contextmanager
def frozen_partner(stores: Sequence[StoreHost], work: str) -> Iterator[list[Group]]:
    """The groups of `stores`, whose last rank is a process that froze at its work. Once they have
    left, it thaws, and has to notice."""
    command = [sys.executable, "-m", "tests.rank.partner", work]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            ports = [*(s.port for s in stores), int(process.stdout.readline())]
            process.stdin.write(json.dumps([1, *ports]) + "\n")
            process.stdin.flush()
            groups = formed(partner.as_generation(1, ports), stores)
            assert process.stdout.readline() == "formed\n"
            time.sleep(0.05)  # it is at its first sum, or waits for what it receives
            process.send_signal(signal.SIGSTOP)
            yield groups
            for group in groups:
                group.close()
            process.send_signal(signal.SIGCONT)
            assert process.wait(60) == partner.BROKEN
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot stop a process and go on")
def test_a_frozen_peer_keeps_nobody_in_a_sum() -> None:
    stores = [StoreHost(LOOPBACK) for _ in range(2)]
    with frozen_partner(stores, "sums") as groups:
        hear_of_the_break(groups, lambda group: partner.sum_twice(group))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot stop a process and go on")
def test_a_frozen_joiner_does_not_keep_who_passes_the_state_on() -> None:
    with frozen_partner([StoreHost(LOOPBACK)], "receives") as groups:
        hear_of_the_break(groups, lambda group: group.send(torch.ones(partner.PASSED), 1))


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
    assert registered.wait(60)
    breakers[0]()  # type: ignore[operator]
    thread.join(60)
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
