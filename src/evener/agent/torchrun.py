"""What torchrun tells a script's process in its environment, for one generation of ranks.

RANK counts those who are there now, so it may be another one after a loss; a rank's number in the
run, by which its log is called, stays.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from evener import contract, variables
from evener.membership import Generation
from evener.membership.generation import Member
from evener.placement import RankPlan
from evener.probe import interface_of


def base(run: Path, host: str, ranks: Sequence[RankPlan], env: Mapping[str, str]) -> dict[str, str]:
    """What is the same for all of an agent's processes. The secret is not theirs."""
    threads = max(r.threads for r in ranks)
    own = variables.of_rank(threads, interface_of(host))
    told = variables.merged(contract.inherited_environ(), own, env)
    return told | {contract.SCRIPT_VARIABLE: str(run)}


def told(
    generation: Generation, member: Member, run: str, starts: int, most_restarts: int
) -> dict[str, str]:
    """Of this member. The store of the group is its first member's, as torch has it itself."""
    members = generation.members
    agents = list(dict.fromkeys(m.agent for m in members))
    beside = [m for m in members if m.agent == member.agent]
    rank, world = members.index(member), len(members)
    values = {
        "RANK": rank,
        "LOCAL_RANK": beside.index(member),
        "GROUP_RANK": agents.index(member.agent),
        "ROLE_RANK": rank,
        "WORLD_SIZE": world,
        "LOCAL_WORLD_SIZE": len(beside),
        "GROUP_WORLD_SIZE": len(agents),
        "ROLE_WORLD_SIZE": world,
        "ROLE_NAME": "default",
        "MASTER_ADDR": members[0].host,
        "MASTER_PORT": members[0].port,
        "TORCHELASTIC_RESTART_COUNT": starts,
        "TORCHELASTIC_MAX_RESTARTS": most_restarts,
        "TORCHELASTIC_RUN_ID": run,
        "TORCHELASTIC_USE_AGENT_STORE": False,
        "TORCH_NCCL_ASYNC_ERROR_HANDLING": 1,
        "PYTHON_EXEC": sys.executable,
    }
    return {name: str(value) for name, value in values.items()}


def again(told: Mapping[str, str]) -> str:
    """For the log of a process that is not the first of its rank."""
    return f"started again, as rank {told['RANK']} of {told['WORLD_SIZE']}"
