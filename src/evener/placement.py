"""Which ranks run where, on what and with how many threads: a job and machines in, a Plan out.

Decides only: no I/O, nothing is started. Every choice carries its reason in words, because a
person who sees one thread per rank must not have to guess why.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from evener import units
from evener.cluster import Device, Machine
from evener.config.schema import Job
from evener.errors import DeviceMissing

VERSION = 1
LOCAL, DOCKER = "local", "docker"  # the places where a run can be
RANK_MEMORY_BYTES = 400 * 10**6  # measured: 360 MiB resident for torch and a small model
SHM_BYTES = 2**30  # loader workers pass batches through it; Docker's own 64 MB are not enough
_DEVICE_NAMES = {"cuda": "CUDA GPU", "mps": "Apple GPU (mps)"}


@dataclass(frozen=True, slots=True)
class RankPlan:
    """One rank: `device` as torch writes it ("cpu", "cuda:1", "mps")."""

    rank: int
    device: str
    threads: int
    reason: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What a container may use of its machine: a machine of its own, as far as ranks can tell."""

    cpus: float
    shm_bytes: int = SHM_BYTES
    gpu: str = ""  # its UUID: an index means another GPU inside a container


@dataclass(frozen=True, slots=True)
class AgentPlan:
    """One agent and the ranks it owns, numbered through the whole run."""

    agent: str
    machine: str
    ranks: tuple[RankPlan, ...]
    limits: Limits | None = None  # of its container, where it has one


@dataclass(frozen=True, slots=True)
class Plan:
    """Where a run will be. `notes` are warnings: the run works, but slower than it could.

    `code` names the folders in which the job's own modules are searched.
    """

    job_name: str
    place: str
    agents: tuple[AgentPlan, ...]
    notes: tuple[str, ...] = ()
    code: tuple[str, ...] = ()

    @property
    def ranks(self) -> tuple[RankPlan, ...]:
        return tuple(rank for agent in self.agents for rank in agent.ranks)


def plan(job: Job, machines: Sequence[Machine]) -> Plan:
    """The plan of a run as processes of the one machine given.

    Raises DeviceMissing where the job asks for a device that the machine cannot offer.
    """
    if len(machines) != 1:
        raise ValueError(f"a local run is planned on one machine, not on {len(machines)}")
    machine = machines[0]
    devices, why = _devices(job, machine)
    count = job.local.workers or len(devices) or 1
    names = [_device_name(devices[i % len(devices)]) if devices else "cpu" for i in range(count)]
    threads, share = _threads(job, machine, count)
    ranks = [RankPlan(i, name, threads, f"{why}; {share}") for i, name in enumerate(names)]
    return Plan(
        job_name=job.name or "",
        place=LOCAL,
        agents=_deal(ranks, job.local.agents, machine.name),
        notes=_notes(job, machine, ranks),
    )


def plan_containers(job: Job, machine: Machine) -> Plan:
    """The plan of a run as containers of the one engine on `machine`: one rank in each.

    One for each GPU; without GPUs as many as were asked for, each with an equal part of the
    processors.
    """
    devices, why = _devices(job, replace(machine, torch=""))  # the image brings its own torch
    count = job.local.workers or len(devices) or 1
    cpus = round(machine.cpus / count, 2)
    agents = []
    for number in range(count):
        gpu = devices[number % len(devices)] if devices else None
        threads, share = _threads(job, machine, count)
        rank = RankPlan(number, _inside(gpu), threads, f"{why}; {share}")
        limits = Limits(cpus, gpu=gpu.uuid if gpu else "")
        agents.append(AgentPlan(f"a{number:02d}", f"machine-{number}", (rank,), limits))
    ranks = [rank for agent in agents for rank in agent.ranks]
    return Plan(job.name or "", DOCKER, tuple(agents), _notes(job, machine, ranks))


def _inside(gpu: Device | None) -> str:
    """A container sees its own GPU only, as the first."""
    return "cpu" if gpu is None else _device_name(replace(gpu, index=0))


# ----------------------------------------------------------------------------- choices


def _devices(job: Job, machine: Machine) -> tuple[list[Device], str]:
    """The accelerators to use (none: the processor) and why."""
    asked = job.local.device
    if asked == "cpu":
        return [], "cpu, as the job says"
    if asked != "auto":
        found, missing = _usable(job, machine, asked)
        if missing:
            raise DeviceMissing(
                f'local.device is "{asked}", but {missing}',
                where=machine.name,
                fix='set local.device to "auto" or "cpu", or run on a machine that has one',
            )
        return found, f"{asked}, as the job says"
    absent = []
    for kind in _DEVICE_NAMES:
        found, missing = _usable(job, machine, kind)
        if found:
            return found, f"{kind}, because the machine has {_counted(len(found), 'GPU')}"
        absent.append(missing)
    return [], "cpu, because " + " and ".join(absent)


def _usable(job: Job, machine: Machine, kind: str) -> tuple[list[Device], str]:
    """The machine's devices of `kind`, or what is missing."""
    found = [d for d in machine.devices if d.kind == kind]
    if not found:
        return [], f"there is no {_DEVICE_NAMES[kind]}"
    if kind == "cuda" and machine.torch.endswith("+cpu"):
        return [], f"torch {machine.torch} is built without CUDA"
    if kind == "mps" and job.train.precision == "fp64":
        return [], "mps has no 64-bit floats"
    return found, ""


def _device_name(device: Device) -> str:
    return f"cuda:{device.index}" if device.kind == "cuda" else device.kind


def _threads(job: Job, machine: Machine, ranks: int) -> tuple[int, str]:
    """Threads of one rank and why."""
    if job.local.threads is not None:
        return job.local.threads, f"{_counted(job.local.threads, 'thread')}, as the job says"
    threads = max(1, math.floor(machine.cpus / ranks))
    each = _counted(threads, "thread") + (" each" if ranks > 1 else "")
    reason = f"{_cores(machine)} for {_counted(ranks, 'rank')}: {each}"
    return threads, reason + ("; the ranks share cores" if ranks > machine.cpus else "")


def _deal(ranks: Sequence[RankPlan], agents: int, machine: str) -> tuple[AgentPlan, ...]:
    """Ranks in order, evenly; the first agents take the odd ones."""
    each, odd = divmod(len(ranks), agents)
    dealt = []
    start = 0
    for number in range(agents):
        stop = start + each + (number < odd)
        dealt.append(AgentPlan(f"a{number:02d}", machine, tuple(ranks[start:stop])))
        start = stop
    return tuple(dealt)


# ------------------------------------------------------------------------------- notes


def _notes(job: Job, machine: Machine, ranks: Sequence[RankPlan]) -> tuple[str, ...]:
    found = (
        _crowded_cores(machine, ranks),
        _crowded_memory(job, machine, ranks),
        *_shared_gpus(ranks),
        _idle_gpu(job, machine),
        _idle_ranks(job, ranks),
    )
    return tuple(note for note in found if note)


def _crowded_cores(machine: Machine, ranks: Sequence[RankPlan]) -> str:
    threads = sum(r.threads for r in ranks)
    if threads <= max(1.0, machine.cpus):
        return ""
    return (
        f"{_counted(threads, 'thread')} on {_cores(machine)}: they wait for each other, and a "
        "step takes longer than with fewer (local.workers, local.threads)"
    )


def _crowded_memory(job: Job, machine: Machine, ranks: Sequence[RankPlan]) -> str:
    standbys = job.local.agents if job.membership.standby else 0
    need = (len(ranks) + standbys) * RANK_MEMORY_BYTES
    if not machine.memory_bytes or need <= machine.memory_bytes:
        return ""
    spare = f" and {_counted(standbys, 'standby')}" if standbys else ""
    return (
        f"{_counted(len(ranks), 'rank')}{spare} need about {units.show_size(need)} before the "
        f"model; the machine has {units.show_size(machine.memory_bytes)} "
        "(local.workers, membership.standby)"
    )


def _shared_gpus(ranks: Sequence[RankPlan]) -> list[str]:
    names = [r.device for r in ranks if r.device != "cpu"]
    crowded = sorted({n for n in names if names.count(n) > 1})
    return [f"{names.count(n)} ranks share {n}: no faster than one rank on it" for n in crowded]


def _idle_gpu(job: Job, machine: Machine) -> str:
    gpus = [d for d in machine.devices if d.kind == "cuda"]
    if job.local.device != "auto" or not gpus or not machine.torch.endswith("+cpu"):
        return ""
    return f"{_counted(len(gpus), 'GPU')} will be idle: torch {machine.torch} is built without CUDA"


def _idle_ranks(job: Job, ranks: Sequence[RankPlan]) -> str:
    if len(ranks) <= job.train.global_batch:
        return ""
    return (
        f"a global batch of {_counted(job.train.global_batch, 'sample')} cannot occupy "
        f"{_counted(len(ranks), 'rank')}"
    )


def _counted(number: int, noun: str) -> str:
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number} {noun if number == 1 else plural}"


def _cores(machine: Machine) -> str:
    return f"{machine.cpus:g} core" + ("" if machine.cpus == 1 else "s")


# ----------------------------------------------------------------------------- storage


def to_dict(record: Plan) -> dict[str, Any]:
    return {"v": VERSION, **asdict(record)}


def from_dict(record: Mapping[str, Any]) -> Plan:
    """A plan from a run's folder. Raises ValueError where something we need is missing."""
    try:
        agents = tuple(
            AgentPlan(a["agent"], a["machine"], tuple(map(_rank, a["ranks"])), _limits(a))
            for a in record["agents"]
        )
        notes = tuple(record.get("notes", ()))
        code = tuple(record.get("code", ()))
        return Plan(record["job_name"], record["place"], agents, notes, code)
    except (KeyError, TypeError) as error:
        raise ValueError(f"damaged plan: {error!r}") from error


def _limits(agent: Mapping[str, Any]) -> Limits | None:
    found = agent.get("limits")
    return None if found is None else Limits(found["cpus"], found["shm_bytes"], found["gpu"])


def _rank(record: Mapping[str, Any]) -> RankPlan:
    return RankPlan(record["rank"], record["device"], record["threads"], record["reason"])
