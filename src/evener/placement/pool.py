"""The plan of a run on the machines of a pool: on each, one rank for each GPU, or one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from evener.cluster import Machine
from evener.config.schema import Job
from evener.errors import DeviceMissing
from evener.placement import notes
from evener.placement import parts as batch_parts
from evener.placement.local import ranks_on
from evener.placement.plan import POOL, AgentPlan, Plan
from evener.placement.swarm import aliases
from evener.placement.words import counted


@dataclass(frozen=True, slots=True)
class Joined:
    """A machine of the pool. `why_not`: no rank can be there now."""

    id: str
    machine: Machine
    why_not: str = ""


def plan_pool(job: Job, joined: Sequence[Joined]) -> Plan:
    """On all machines that can have ranks, or on the first `local.workers` of them, if there are so
    many: a job that says how many ranks it wants on one machine is welcome to fewer.

    Raises DeviceMissing where there is none.
    """
    out = _left_out(job, joined)
    fit = [each for each in joined if each.id not in out]
    found = [f"left out: {e.machine.name}, {out[e.id]}" for e in joined if e.id in out]
    if not fit:
        raise DeviceMissing(
            "; ".join(["no machine of the pool can be used", *found]),
            where="--on pool",
            fix="`evener nodes` lists them; let machines join, or mend what is said of them",
        )
    count = job.local.workers or len(fit)
    if count > len(fit):
        found.append(f"{counted(count, 'machine')} wanted (--workers), {len(fit)} can be used")
    agents = tuple(_agents(job, fit[:count]))
    ranks = [rank for agent in agents for rank in agent.ranks]
    batch_parts.check(job, ranks)
    found += [note for note in (notes.idle_ranks(job, ranks),) if note]
    return Plan(job.name or "", POOL, agents, tuple(found), env=job.env.variables)


def with_newcomers(
    plan: Plan, job: Job, joined: Sequence[Joined], moved: Collection[str] = ()
) -> Plan:
    """The plan with an agent more for each machine that was not in it, if the job does not say how
    many there are to be, and for each that has `moved`: its agent is gone with its address. The
    same plan where there is none."""
    known, out = {agent.node for agent in plan.agents}, _left_out(job, joined)
    wanted = set(moved) if job.local.workers is not None else {e.id for e in joined} - known
    new = [e for e in joined if e.id in wanted | set(moved) and e.id not in out]
    if not new:
        return plan
    return replace(plan, agents=(*plan.agents, *_agents(job, new, plan.agents)))


def _left_out(job: Job, joined: Sequence[Joined]) -> dict[str, str]:
    """Why, by machine. All that train have one torch: that of the first."""
    out = {each.id: each.why_not for each in joined if each.why_not}
    torch = next((_public(each.machine.torch) for each in joined if each.id not in out), "")
    for each in joined:
        if each.id in out:
            continue
        if _public(each.machine.torch) != torch:
            out[each.id] = f"its torch is {each.machine.torch}, and that of the others {torch}"
            continue
        try:
            ranks_on(job, each.machine, None)
        except DeviceMissing as error:
            out[each.id] = error.what
    return out


def _public(version: str) -> str:
    """Builds of one version train together."""
    return version.partition("+")[0]


def _agents(
    job: Job, joined: Sequence[Joined], before: Sequence[AgentPlan] = ()
) -> Iterator[AgentPlan]:
    ids = {each.id for each in joined}  # who has moved keeps its name
    taken = {agent.machine for agent in before if agent.node not in ids}
    names = aliases([each.machine.name for each in joined], taken)
    first = sum(len(agent.ranks) for agent in before)
    for number, (each, name) in enumerate(zip(joined, names, strict=True), len(before)):
        ranks = ranks_on(job, each.machine, None, first)
        first += len(ranks)
        yield AgentPlan(f"a{number:02d}", name, tuple(ranks), node=each.id)
