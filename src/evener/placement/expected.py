"""What each rank of a plan must have been measured as, for a profile to be its own."""

from __future__ import annotations

from evener.cluster import Machine
from evener.placement.plan import AgentPlan, Plan
from evener.profiles import Expected


def expected(plan: Plan, machine: Machine) -> tuple[Expected, ...]:
    """`machine` is the one that the plan was made on."""
    return tuple(
        Expected(
            rank=rank.rank,
            agent=agent.agent,
            machine=agent.machine,
            cpus=agent.limits.cpus if agent.limits else machine.cpus,
            device=rank.device,
            hardware=_hardware(agent, rank.device, machine),
            threads=rank.threads,
        )
        for agent in plan.agents
        for rank in agent.ranks
    )


def _hardware(agent: AgentPlan, device: str, machine: Machine) -> str:
    """By name. Inside a container GPUs are numbered anew, and known by their UUIDs here. What the
    other machines of a Swarm have is not known before they run."""
    if agent.node:
        return ""
    kind, _, index = device.partition(":")
    if kind == "cpu":
        return machine.cpu_name
    gpus = agent.limits.gpus if agent.limits else ()
    uuid = gpus[int(index)] if gpus else None
    named = (
        d.name
        for d in machine.devices
        if d.kind == kind and (d.uuid == uuid if uuid else d.index == int(index or 0))
    )
    return next(named, "")
