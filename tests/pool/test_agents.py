"""A machine's agents and its addresses: one that nobody can reach any more is not started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evener.contract import LOOPBACK
from evener.pool.agents import Agents, Door, is_ours
from evener.pool.wish import MOVED
from evener.wire.calls import Server

HOME = Server(LOOPBACK, 9, pin="ab" * 12)
ELSEWHERE, IN_MESH = "192.0.2.77:4000", "100.64.0.7:4000"  # neither is ours


def wish(door: str) -> dict[str, Any]:
    return {"id": "w", "run": "k", "told": {"name": "demo", "agent": "a00", "door": door}}


@pytest.fixture
def door() -> Iterator[Door]:
    made = Door()
    yield made
    made.close()


def test_an_agent_ends_where_its_machine_has_another_address(tmp_path: Path, door: Door) -> None:
    agents = Agents(tmp_path, (door, Door()))
    agents.keep([wish(ELSEWHERE)])
    assert not agents.tend(HOME)  # the machine is cut off: the address may be back
    assert agents.ended == {}
    door.look(LOOPBACK)
    assert agents.tend(HOME)
    assert agents.ended["w"][0] == MOVED
    assert "192.0.2.77" in agents.ended["w"][1]


def test_an_agent_waits_while_its_machine_is_not_in_the_mesh(tmp_path: Path, door: Door) -> None:
    agents = Agents(tmp_path, (door, Door()))
    door.look(LOOPBACK)
    agents.keep([wish(IN_MESH)])
    assert not agents.tend(HOME)
    assert agents.ended == {}
    assert is_ours(LOOPBACK)
