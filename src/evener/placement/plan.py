"""The plan of a run, and how it is kept in the run's folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

VERSION = 1
LOCAL, DOCKER, SWARM, POOL = "local", "docker", "swarm", "pool"  # where a run can be
TRAIN, BENCH = "train", "bench"  # what the ranks of a run are for
PACKET_BYTES = 1500  # that pass on most ways
SHM_BYTES = 2**30  # loader workers pass batches through it; Docker's own 64 MB are not enough


@dataclass(frozen=True, slots=True)
class RankPlan:
    """One rank: `device` as torch writes it ("cpu", "cuda:1", "mps")."""

    rank: int
    device: str
    threads: int
    reason: str
    part: tuple[float, float] = (0.0, 1.0)  # of the batch that it may take, at least and at most


@dataclass(frozen=True, slots=True)
class Limits:
    """What a container may use of its machine: a machine of its own, as far as ranks can tell."""

    cpus: float  # a weight among others; where it was asked for, all that there is for it
    capped: bool = False
    memory_bytes: int = 0  # 0: as much as there is
    shm_bytes: int = SHM_BYTES
    gpus: tuple[str, ...] = ()  # by UUID: an index means another GPU inside a container
    gpu_kind: str = ""  # the generic resource of a Swarm that these GPUs are
    cpu_affinity: str = ""  # processors by number, "0-3,8"


@dataclass(frozen=True, slots=True)
class AgentPlan:
    """One agent and the ranks it owns, numbered through the whole run."""

    agent: str
    machine: str
    ranks: tuple[RankPlan, ...]
    limits: Limits | None = None  # of its container, where it has one
    node: str = ""  # what a Swarm or a pool calls the machine


@dataclass(frozen=True, slots=True)
class Plan:
    """Where a run will be. `notes` are warnings: the run works, but slower than it could.

    `code` names the folders in which the job's own modules are searched, `env` the variables that
    ranks find whatever their place says. `purpose` is what its ranks are for: to train, or to
    measure. Packets of `packet_bytes` pass between its machines. `home` is what a Swarm calls the
    manager that it was planned on.
    """

    job_name: str
    place: str
    agents: tuple[AgentPlan, ...]
    notes: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    purpose: str = TRAIN
    packet_bytes: int = PACKET_BYTES
    home: str = ""

    @property
    def ranks(self) -> tuple[RankPlan, ...]:
        return tuple(rank for agent in self.agents for rank in agent.ranks)


def to_dict(record: Plan) -> dict[str, Any]:
    return {"v": VERSION, **asdict(record)}


def from_dict(record: Mapping[str, Any]) -> Plan:
    """A plan from a run's folder. Raises ValueError where something we need is missing."""
    try:
        agents = tuple(
            AgentPlan(
                a["agent"],
                a["machine"],
                tuple(map(_rank, a["ranks"])),
                _limits(a),
                str(a.get("node", "")),
            )
            for a in record["agents"]
        )
        notes = tuple(record.get("notes", ()))
        code = tuple(record.get("code", ()))
        env = dict(record.get("env", {}))
        purpose = record.get("purpose", TRAIN)
        return Plan(
            record["job_name"],
            record["place"],
            agents,
            notes,
            code,
            env,
            purpose,
            int(record.get("packet_bytes", PACKET_BYTES)),
            str(record.get("home", "")),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"damaged plan: {error!r}") from error


def _limits(agent: Mapping[str, Any]) -> Limits | None:
    found = agent.get("limits")
    if found is None:
        return None
    return Limits(
        found["cpus"],
        found["capped"],
        found["memory_bytes"],
        found["shm_bytes"],
        tuple(found["gpus"]),
        cpu_affinity=found["cpu_affinity"],
        gpu_kind=str(found.get("gpu_kind", "")),
    )


def _rank(record: Mapping[str, Any]) -> RankPlan:
    least, most = record.get("part", (0.0, 1.0))
    return RankPlan(
        record["rank"], record["device"], record["threads"], record["reason"], (least, most)
    )
