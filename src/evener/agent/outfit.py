"""An agent's crew, made from what the agent was told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from evener.agent.child import Child, Programs
from evener.agent.crew import Crew
from evener.agent.environment import environment_of_ranks
from evener.agent.ranks import Ranks
from evener.agent.voice import Voice
from evener.config.schema import Job
from evener.contract import AgentEnv
from evener.placement import AgentPlan, Plan
from evener.rundir.layout import RunDir
from evener.wire.frames import split_address

Start = Callable[[Path], Child]


def crew_of(env: AgentEnv, address: str, job: Job, plan: Plan, start: Start, voice: Voice) -> Crew:
    """`address` is where the agent answers: its host is its ranks' too."""
    run, host = RunDir(Path(env.run_dir)), split_address(address)[0]
    ranks = Ranks(env.agent, run, _own(env, plan).ranks, start)
    return Crew(env.agent, host, job, ranks, voice, plan.purpose)


def starting(
    env: AgentEnv, address: str, plan: Plan, programs: Programs, ended: Callable[[Child], None]
) -> Start:
    """How a rank's process is started: what it writes goes to the log that is named then."""
    environment = environment_of_ranks(env, address, _own(env, plan).ranks, plan.env)

    def start(log_file: Path) -> Child:
        return Child(programs.rank, environment, log_file, ended)

    return start


def _own(env: AgentEnv, plan: Plan) -> AgentPlan:
    return next(a for a in plan.agents if a.agent == env.agent)
