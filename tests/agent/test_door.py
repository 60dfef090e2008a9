"""Where an agent answers, and what it does when it is started again."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from tests.agent.rehearsal import SECRET, Intake
from tests.placement.test_placement import job, machine

from evener.agent import door as doors
from evener.agent import revival
from evener.agent.company import Company
from evener.agent.door import door
from evener.agent.naming import Names
from evener.contract import AgentEnv
from evener.errors import StartFailed
from evener.events import Event, Record, RunEnded
from evener.placement import plan_containers
from evener.rundir.layout import RunDir
from evener.rundir.store import Store

NAMES = Names(plan_containers(job(workers=2), machine()), "a01")


def told(listen: str, head: str) -> AgentEnv:
    return AgentEnv("", "secret", "a00", 0, 1, head, listen=listen)


def test_an_address_is_taken_as_it_is() -> None:
    assert asyncio.run(door(told("127.0.0.1:0", "nobody:1"))) == "127.0.0.1:0"


def test_a_port_alone_is_one_of_the_address_that_faces_the_head() -> None:
    assert asyncio.run(door(told(":7071", "127.0.0.1:1"))) == "127.0.0.1:7071"
    assert asyncio.run(door(told(":7071", "[::1]:1"))) == "[::1]:7071"


def test_a_head_that_nobody_knows_is_waited_for_and_then_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doors, "KNOWN_S", 0.1)
    with pytest.raises(StartFailed, match="no way to the head"):
        asyncio.run(door(told(":7071", "no-such-host.invalid:1")))


def test_a_head_that_cannot_say_is_asked_for_a_while_only() -> None:
    company, pace = Company("a00", (), 0.0), revival.Pace(again_s=0.05, known_s=0.1)
    looking = revival.look_back(
        lambda: "127.0.0.1:1", "secret", company, NAMES, lambda event: None, pace
    )
    assert asyncio.run(looking) is None


def test_who_meets_nobody_is_held_while_others_train() -> None:
    """A firewall may be between them: it must not train beside them, as if it were alone."""
    told: list[Event] = []
    company, pace = Company("a01", ("a00",), 0.0), revival.Pace(again_s=0.01, alone_s=0.0)
    intake = Intake()
    intake.state = {"phase": "training", "generation": 3, "step": 0}

    async def look() -> revival.Past | None:
        looking = asyncio.create_task(
            revival.look_back(lambda: intake.address, SECRET, company, NAMES, told.append, pace)
        )
        while len(told) == 0:
            intake.state = {**intake.state, "step": intake.state["step"] + 1}
            await asyncio.sleep(0.01)
        assert not looking.done()
        company.seen("a00", True)
        return await looking

    with contextlib.closing(intake):
        past = asyncio.run(look())
    assert past is not None
    assert past.step > 0
    assert ["machine-1 reaches none" in str(event) for event in told] == [True]


def test_one_that_is_started_again_after_the_end_finds_it_in_the_record(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    assert not revival.has_ended(run)
    with Store.open(run.db, write=True) as store:
        store.append([Record(RunEnded("finished", 7), 1.0, "a00", 1)])
    assert revival.has_ended(run)
    run.db.write_text("no record")
    assert not revival.has_ended(run)
