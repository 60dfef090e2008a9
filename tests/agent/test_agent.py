"""What an agent knows of the others, moment by moment."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tests.agent.rehearsal import make_run

from evener.agent.agent import Agent
from evener.agent.child import Programs
from evener.agent.courier import Courier
from evener.agent.standin import StandIn
from evener.config.load import job_from_json
from evener.contract import AgentEnv


class NoSink:
    dropped = 0

    def put(self, event: Any) -> None: ...

    def forward(self, record: dict[str, Any]) -> None: ...

    def flush(self, timeout_s: float) -> bool:
        return True

    def asks(self) -> list[str]:
        return []

    def address(self) -> str:
        return ""


def test_between_awaited_and_present_an_agent_is_not_gone(tmp_path: Path) -> None:
    run, plan = make_run(tmp_path, ranks=2, agents=2, steps=1)
    job = job_from_json(run.job_file.read_text())
    env = AgentEnv(
        str(run.path), "secret", "a00", 0, 1, "127.0.0.1:1",
        peers="a01=127.0.0.1:2", expected_agents=2,
    )  # fmt: skip
    agent = Agent(
        env, job, plan, NoSink(), Programs(), courier=Courier(env, run), standin=StandIn(env, run)
    )
    assert agent._company.alive(time.monotonic()) == {"a01"}
    agent.presence("a01", here=True)  # its news waits in the inbox
    assert agent._company.alive(time.monotonic()) == {"a01"}
    agent._inbox.take()()
    assert agent._company.alive(time.monotonic()) == {"a01"}
    agent.presence("a01", here=False)
    agent._inbox.take()()
    assert agent._company.alive(time.monotonic()) == set()
