"""A rank's line to its agent: what it answers at once, and what waits for its main thread."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest

from evener import orders
from evener.membership.generation import Ballot, Generation, Member
from evener.orders import Form, Halt, Halted, Order, Parked, Pulse, Save, Unparked, Wind
from evener.rank import link as link_module
from evener.rank.link import Link
from evener.wire.line import Line

FIRST, SECOND, THIRD = (Ballot(number, "a00") for number in (1, 2, 3))


class FakeLine:
    """What an agent says and hears. `told` comes back only once it was obeyed."""

    def __init__(self) -> None:
        self.orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self.asked: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.said: list[Order] = []

    def send(self, frame: dict[str, Any]) -> None:
        self.said.append(orders.from_dict(frame))

    def receive(self) -> dict[str, Any] | None:
        self.asked.put(None)
        order = self.orders.get()
        return None if order is None else orders.to_dict(order)

    def tell(self, order: Order) -> None:
        self.orders.put(order)
        self.asked.get(timeout=60)

    def flush(self, timeout_s: float) -> bool:
        return True

    def close(self) -> None:
        self.orders.put(None)


def generation(ballot: Ballot) -> Generation:
    return Generation(ballot, (Member("a00", 0, 0, "host", 1),), 7, 0)


@pytest.fixture
def agent() -> FakeLine:
    return FakeLine()


@pytest.fixture
def link(agent: FakeLine) -> Iterator[Link]:
    link = Link(cast("Line", agent))
    agent.asked.get(timeout=60)
    yield link
    link.close()


@pytest.fixture
def parked(agent: FakeLine, link: Link) -> Link:
    """It left the first generation."""
    agent.tell(Form(generation(FIRST)))
    assert link.await_form(-1) == generation(FIRST)
    link.stand_aside()
    return link


def test_who_stands_aside_says_so_and_answers_every_halt_at_once(
    agent: FakeLine, parked: Link
) -> None:
    agent.tell(Halt(SECOND, urgent=False))
    agent.tell(Halt(THIRD, urgent=True))

    assert agent.said == [Parked(FIRST), Halted(SECOND, -1), Halted(THIRD, -1)]


def test_a_halt_from_before_is_answered_after_the_word_that_it_is_parked(
    agent: FakeLine, link: Link
) -> None:
    agent.tell(Form(generation(FIRST)))
    link.await_form(-1)
    agent.tell(Halt(SECOND, urgent=False))
    link.stand_aside()

    assert agent.said == [Parked(FIRST), Halted(SECOND, -1)]


def test_patience_ends_and_the_rank_goes_on_standing(agent: FakeLine, parked: Link) -> None:
    with pytest.raises(TimeoutError):
        parked.await_form(-1, patience_s=0.01)
    agent.tell(Halt(SECOND, urgent=False))

    assert agent.said[-1] == Halted(SECOND, -1)


def test_an_order_that_came_while_nobody_waited_is_obeyed_and_no_halt_answered_for_it(
    agent: FakeLine, parked: Link
) -> None:
    with pytest.raises(TimeoutError):
        parked.await_form(-1, patience_s=0.01)
    agent.tell(Form(generation(SECOND)))
    assert parked.await_form(-1, patience_s=0.01) == generation(SECOND)
    agent.tell(Halt(THIRD, urgent=False))

    assert agent.said == [Parked(FIRST)]
    assert parked.halt_asked


def test_who_returns_says_so_and_stands_on(agent: FakeLine, parked: Link) -> None:
    parked.return_to_work()
    agent.tell(Halt(SECOND, urgent=False))
    agent.tell(Form(generation(SECOND)))

    assert parked.await_form(-1) == generation(SECOND)
    assert agent.said == [Parked(FIRST), Unparked(), Halted(SECOND, -1)]


def test_the_end_reaches_who_is_parked(agent: FakeLine, parked: Link) -> None:
    agent.tell(Wind("it is late"))

    assert parked.await_form(-1) is None


def test_the_end_reaches_who_parks_after_it(agent: FakeLine, link: Link) -> None:
    agent.tell(Form(generation(FIRST)))
    link.await_form(-1)
    agent.tell(Wind("it is late"))
    link.stand_aside()

    assert link.await_form(-1, patience_s=0.01) is None


def test_the_end_does_not_reach_who_stands_with_a_state(agent: FakeLine, link: Link) -> None:
    """It forms once more, and stops with all others at a boundary."""
    agent.tell(Form(generation(FIRST)))
    link.await_form(-1)
    with pytest.raises(TimeoutError):
        link.await_form(7, patience_s=0.01)
    agent.tell(Wind("it is late"))
    with pytest.raises(TimeoutError):
        link.await_form(7, patience_s=0.01)

    assert link.stop_asked == "it is late"


def test_a_rank_in_a_group_tells_how_it_gets_on(
    agent: FakeLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "PULSE_S", 0.01)
    quick = Link(cast("Line", agent))
    agent.asked.get(timeout=60)
    quick.pulse.beat()
    time.sleep(0.1)
    assert not [o for o in agent.said if isinstance(o, Pulse)]  # it stands: nothing is expected
    agent.tell(Form(generation(FIRST)))
    with quick.pulse.rest():
        deadline = time.monotonic() + 60
        while Pulse(1, resting=True) not in agent.said:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    quick.close()


def test_an_ask_for_a_checkpoint_stands_until_one_is_written(agent: FakeLine, link: Link) -> None:
    assert not link.save_asked
    agent.tell(Save())
    agent.tell(Save())
    assert link.save_asked
    link.saved()
    assert not link.save_asked
