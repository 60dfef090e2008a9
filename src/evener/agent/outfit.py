"""An agent's crew, made from what the agent was told: of evener's own ranks, or of a script's."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from evener import contract
from evener.agent import crew, outside, torchrun
from evener.agent.child import Child, Programs
from evener.agent.courier import Courier
from evener.agent.drover import Drover, Setting
from evener.agent.environment import environment_of_ranks
from evener.agent.outside import Outside
from evener.agent.ranks import Ranks
from evener.agent.reserve import POSSIBLE, Reserve, Warm
from evener.agent.team import Driven
from evener.agent.voice import Voice
from evener.config import script as scripts
from evener.config.schema import Job
from evener.contract import AgentEnv
from evener.placement import AgentPlan, Plan
from evener.rundir.layout import RunDir
from evener.wire.frames import split_address

Crew = crew.Crew | Drover


@dataclass(frozen=True, slots=True)
class Place:
    """Where a crew works. `address` is where the agent answers: its host is its ranks' too;
    `ended` hears of every process that ends; `courier` brings and fetches a script's files."""

    env: AgentEnv
    address: str
    plan: Plan
    programs: Programs
    ended: Callable[[Child], None]
    courier: Courier

    @property
    def host(self) -> str:
        return split_address(self.address)[0]

    @property
    def run(self) -> RunDir:
        return RunDir(Path(self.env.run_dir))

    @property
    def own(self) -> AgentPlan:
        return next(a for a in self.plan.agents if a.agent == self.env.agent)


def programs_of(job: Job) -> Programs:
    """A script prepares its data itself."""
    return Programs(prepare=()) if job.script.path else Programs()


def crew_of(job: Job, place: Place, voice: Voice) -> Crew:
    return _drover(job, place, voice) if job.is_torchrun else _crew(job, place, voice)


def _crew(job: Job, place: Place, voice: Voice) -> crew.Crew:
    """What a rank writes goes to the log that is named when it starts."""
    ranks = place.own.ranks
    environment = environment_of_ranks(place.env, place.address, ranks, place.plan.env)

    def start(log_file: Path) -> Child:
        return Child(place.programs.rank, environment, log_file, place.ended)

    me = place.env.agent
    return crew.Crew(
        me, place.host, job, Ranks(me, place.run, ranks, start), voice, place.plan.purpose
    )


def _drover(job: Job, place: Place, voice: Voice) -> Drover:
    script, run = job.script, place.run
    base = torchrun.base(run.path, place.host, place.own.ranks, place.plan.env)

    def words(driven: Driven) -> list[str]:
        where = (driven.word(run), run.configs / script.folder, run.configs / script.path)
        return [*(os.path.normpath(path) for path in where), *script.args]

    def start(driven: Driven, told: Mapping[str, str]) -> Child:
        argv = (*place.programs.script, *words(driven))
        return Child(argv, {**base, **told}, run.rank_log(driven.plan.rank), place.ended)

    def warm(driven: Driven) -> Warm:
        argv = (*place.programs.script, contract.WARM, *words(driven))
        return Warm(argv, base, run.rank_log(driven.plan.rank), place.ended)

    reserve = Reserve(warm if _keeps_reserve(job, run.configs / script.path) else None)
    looks = Outside(outside.lost(run, apart=bool(place.env.apart)), voice.emit)
    setting = Setting(place.own, place.host, run, start, reserve, place.courier.exchange, looks)
    return Drover(job, setting, voice)


def _keeps_reserve(job: Job, script: Path) -> bool:
    if job.membership.standby and POSSIBLE:
        with contextlib.suppress(OSError, SyntaxError, ValueError):
            return scripts.may_find_torch(script.read_text(encoding="utf-8-sig"))
    return False
