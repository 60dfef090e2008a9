"""How a machine fares, as its agent tells it: again and again, and not after the end."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest
from tests.agent.rehearsal import Rehearsal

from evener.agent.inbox import Inbox
from evener.agent.load import Lookout
from evener.events import AgentEnded, GenerationFormed, MachineLoad, MachineSeen, StopAsked
from evener.probe.load import Load


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def test_looks_come_one_after_another_until_nobody_asks() -> None:
    async def ask() -> list[Load]:
        with Lookout((), every_s=0.05) as lookout:
            assert "lookout" in names()
            async with asyncio.timeout(20):
                return [await lookout.next() for _ in range(3)]

    looks = asyncio.run(ask())
    assert all(look.memory_bytes for look in looks)
    assert "lookout" not in names()


def test_a_loop_that_has_ended_is_told_nothing() -> None:
    """The thread of an agent that ended in a hurry does not fall over it."""

    async def begin() -> Lookout:
        return Lookout((), every_s=0.02).__enter__()

    lookout = asyncio.run(begin())
    time.sleep(0.2)
    assert "lookout" in names()
    lookout.__exit__()
    assert "lookout" not in names()


def test_what_nobody_waits_for_goes_on_until_it_is_hushed() -> None:
    async def live() -> list[str]:
        said: list[str] = []

        async def talk(word: str) -> None:
            while True:
                said.append(word)
                await asyncio.sleep(0.01)

        inbox = Inbox(lambda now: None, lambda error: None)
        inbox.spawn(talk("asked"), lambda result: None)
        inbox.spawn(talk("unasked"))
        await asyncio.sleep(0.05)
        inbox.cancel()
        said.clear()
        async with asyncio.timeout(20):
            while len(said) < 3:
                await asyncio.sleep(0.01)
        heard = {*said}
        inbox.hush()
        said.clear()
        await asyncio.sleep(0.05)
        assert said == []
        await inbox.close()
        return sorted(heard)

    assert asyncio.run(live()) == ["unasked"]


@pytest.mark.slow
def test_an_agent_tells_how_its_machine_fares_while_it_trains_and_not_after(
    tmp_path: Path,
) -> None:
    with Rehearsal(tmp_path, ranks=2) as run:
        run.until(GenerationFormed)
        first = run.until(MachineLoad)
        second = run.until(MachineLoad, lambda load: load != first)
        assert first.agent == second.agent == "a00"
        assert first.cpu_share is not None
        assert 0 <= first.cpu_share <= 1
        assert first.memory_bytes is not None
        assert first.dropped == 0
        assert run.of(MachineSeen)
        run.signal()
        run.until(StopAsked)
        assert run.end().outcome == "stopped"
        kinds = [type(event) for _, event in run.intake.events]
        assert kinds.index(MachineSeen) < kinds.index(MachineLoad)
        assert kinds[-1] is AgentEnded
