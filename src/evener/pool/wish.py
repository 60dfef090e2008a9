"""What a wish for an agent says, and the environment that it comes to. Decides only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from evener import contract
from evener.contract import AgentEnv

MOVED = 1001  # how an agent ended whose machine has another address; no process ends so


@dataclass(frozen=True, slots=True)
class Told:
    """What the one who starts a run decides; all else the machine knows. `door` is where the
    agent is to answer, as its machine has said, `peers` where the others do."""

    name: str  # of the run
    agent: str
    first_rank: int
    ranks: int
    expected_agents: int
    door: str
    peers: str
    secret: str = field(repr=False)


def to_dict(told: Told) -> dict[str, Any]:
    return asdict(told)


def from_dict(record: Mapping[str, Any]) -> Told:
    """Raises KeyError, TypeError or ValueError where something we need is missing."""
    return Told(
        name=str(record["name"]),
        agent=str(record["agent"]),
        first_rank=int(record["first_rank"]),
        ranks=int(record["ranks"]),
        expected_agents=int(record["expected_agents"]),
        door=str(record["door"]),
        peers=str(record["peers"]),
        secret=str(record["secret"]),
    )


def environment(told: Told, run_dir: str, head: str, fd: int) -> dict[str, str]:
    """`head` is where the machine reaches that of the run."""
    env = AgentEnv(
        run_dir=run_dir,
        secret=told.secret,
        agent=told.agent,
        first_rank=told.first_rank,
        ranks=told.ranks,
        head=head,
        fd=fd,
        listen=told.door,
        peers=told.peers,
        expected_agents=told.expected_agents,
        revived=1,
        apart=1,
        owned=1,
    )
    return contract.to_environ(env)
