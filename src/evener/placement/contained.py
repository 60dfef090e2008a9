"""The plan of a run as containers of one engine, each a machine of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evener import units
from evener.cluster import Device, Machine
from evener.config.machines import GPU_AUTO, GPU_NONE, MachineWish
from evener.config.schema import Job
from evener.errors import DeviceMissing, EvenerError
from evener.placement import notes
from evener.placement import parts as batch_parts
from evener.placement.plan import DOCKER, SHM_BYTES, AgentPlan, Limits, Plan, RankPlan
from evener.placement.threads import threads_each
from evener.placement.words import cores, counted

LEAST_CPUS = 0.01  # that an engine can give


@dataclass(frozen=True, slots=True)
class Hindrance:
    """Why no container of an engine can have a GPU, and how that is mended."""

    what: str
    fix: str


_CPU_IMAGE = Hindrance('image.cuda is "cpu"', "leave image.cuda out, or name a build such as cu130")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A container to be, by the name that others in its network know it by."""

    wish: MachineWish
    name: str
    gpus: tuple[Device, ...] = ()


def plan_containers(job: Job, machine: Machine, hindrance: Hindrance | None = None) -> Plan:
    """One container for each of [[machines]]; without, one for each GPU, or as many as were asked
    for, with equal parts of the processors.

    `machine` is what the engine has. Raises DeviceMissing where the job asks for what it has not.
    """
    if job.image.cuda == "cpu":
        hindrance = hindrance or _CPU_IMAGE
    gpus = [] if hindrance else [d for d in machine.devices if d.kind == "cuda"]
    _check_device(job, machine, gpus, hindrance)
    if job.local.device == "cpu":
        gpus = []
    wanted = _dealt(_wanted(job, gpus), job, machine, gpus, hindrance)
    parts = _parts([w.wish for w in wanted], machine, [w.name for w in wanted])
    agents = tuple(_agents(job, wanted, parts, _why_cpu(job, hindrance)))
    ranks = [rank for agent in agents for rank in agent.ranks]
    batch_parts.check(job, ranks)
    return Plan(
        job_name=job.name or "",
        place=DOCKER,
        agents=agents,
        notes=tuple(_notes(job, machine, agents, ranks, hindrance)),
        env=job.env.variables,
    )


def _wanted(job: Job, gpus: Sequence[Device]) -> list[MachineWish]:
    if not job.machines:
        beside = [MachineWish(gpus=GPU_NONE)] * job.local.cpu_workers
        return [MachineWish()] * (job.local.workers or len(gpus) or 1) + beside
    return [wish for wish in job.machines for _ in range(wish.count)]


# --------------------------------------------------------------------------------- GPUs


def _check_device(
    job: Job, machine: Machine, gpus: Sequence[Device], hindrance: Hindrance | None
) -> None:
    if job.local.device == "mps":
        raise DeviceMissing(
            'local.device is "mps", and no container can use an Apple GPU',
            where=machine.name,
            fix="train in local processes (--on local), or set local.device to cpu",
        )
    if job.local.device == "cuda" and not gpus:
        raise _absent('local.device is "cuda"', machine.name, hindrance)


def _absent(asked: str, where: str, hindrance: Hindrance | None) -> EvenerError:
    if hindrance is not None:
        return DeviceMissing(f"{asked}, but {hindrance.what}", where=where, fix=hindrance.fix)
    fix = "`nvidia-smi -L` lists those there are"
    return DeviceMissing(f"{asked}, but there is no such GPU", where=where, fix=fix)


def _dealt(
    wishes: Sequence[MachineWish],
    job: Job,
    machine: Machine,
    gpus: Sequence[Device],
    hindrance: Hindrance | None,
) -> list[_Wanted]:
    """Named GPUs go to whom they are named for, the others in order to those that take any.

    Where nobody says how many machines there are, more workers than GPUs share them.
    """
    names = [name for wish in wishes for name in wish.named_gpus]
    named = {name: _named(name, machine, gpus, hindrance) for name in names}
    free = [gpu for gpu in gpus if gpu not in named.values()]
    dealt = []
    for number, wish in enumerate(wishes):
        own = tuple(named[name] for name in wish.named_gpus)
        if wish.gpus == GPU_AUTO and free:
            own = (free[number % len(free)],) if not job.machines else (free.pop(0),)
        dealt.append(_Wanted(wish, f"machine-{number}", own))
    return dealt


def _named(
    name: int | str, machine: Machine, gpus: Sequence[Device], hindrance: Hindrance | None
) -> Device:
    """By index or by a UUID, which may be cut short where it stays unique, as for docker."""
    found = [g for g in gpus if g.index == name or g.uuid.startswith(f"{name}")]
    if len(found) != 1:
        raise _absent(f"machines.gpus asks for GPU {name}", machine.name, hindrance)
    return found[0]


# ---------------------------------------------------------------------------- processors


def _parts(wishes: Sequence[MachineWish], machine: Machine, names: Sequence[str]) -> list[float]:
    """The processors of each: its own wish, else an equal part of what is left."""
    asked = [_asked(wish) for wish in wishes]
    for cpus, wish, name in zip(asked, wishes, names, strict=True):
        _check_cpus(cpus, wish, machine, name)
    open_places = sum(1 for cpus in asked if not cpus)
    left = max(machine.cpus - sum(asked), 0.0) / max(open_places, 1)
    each = max(math.floor(left * 100) / 100, LEAST_CPUS)
    return [cpus or each for cpus in asked]


def _asked(wish: MachineWish) -> float:
    numbered = units.parse_numbers(wish.cpu_affinity) if wish.cpu_affinity else ()
    return wish.cpus or float(len(numbered))


def _check_cpus(cpus: float, wish: MachineWish, machine: Machine, name: str) -> None:
    if cpus > machine.cpus:
        raise DeviceMissing(
            f"{name} asks for {cores(cpus)}, and the engine has {machine.cpus:g}",
            where="machines.cpus",
            fix="ask for fewer, or leave it out: then it is what the others leave",
        )
    if wish.cpu_affinity and max(units.parse_numbers(wish.cpu_affinity)) >= machine.cpus:
        raise DeviceMissing(
            f"{name} asks for the processors {wish.cpu_affinity}, and the engine has 0 to "
            f"{machine.cpus - 1:g}",
            where="machines.cpu_affinity",
            fix="name only those that are there",
        )


# -------------------------------------------------------------------------------- agents


def _agents(
    job: Job, wanted: Sequence[_Wanted], parts: Sequence[float], why_cpu: str
) -> Iterator[AgentPlan]:
    first = 0
    for number, (each, cpus) in enumerate(zip(wanted, parts, strict=True)):
        count = job.script.nproc or max(len(each.gpus), 1)
        threads, share = threads_each(job, cpus, count)
        part = batch_parts.of_rank(job, each.wish)
        why = f"{counted(count, 'GPU')} of its own" if each.gpus else why_cpu
        ranks = tuple(
            RankPlan(
                first + i,
                f"cuda:{i % len(each.gpus)}" if each.gpus else "cpu",
                threads,
                f"{why}; {share}",
                part,
            )
            for i in range(count)
        )
        yield AgentPlan(f"a{number:02d}", each.name, ranks, _limits(each, cpus))
        first += count


def _limits(wanted: _Wanted, cpus: float) -> Limits:
    wish = wanted.wish
    return Limits(
        cpus=cpus,
        capped=wish.cpus is not None,
        memory_bytes=wish.memory or 0,
        shm_bytes=wish.shm_size or SHM_BYTES,
        gpus=tuple(gpu.uuid for gpu in wanted.gpus),
        cpu_affinity=wish.cpu_affinity or "",
    )


def _why_cpu(job: Job, hindrance: Hindrance | None) -> str:
    if job.local.device == "cpu":
        return "cpu, as the job says"
    if hindrance is not None:
        return f"cpu, because {hindrance.what}"
    return "cpu, because no GPU is left for it" if job.machines else "cpu"


def _notes(
    job: Job,
    machine: Machine,
    agents: Sequence[AgentPlan],
    ranks: Sequence[RankPlan],
    hindrance: Hindrance | None,
) -> Iterator[str]:
    yield from _crowding(job, machine, agents, ranks)
    yield from notes.shared_gpus([u for a in agents if a.limits for u in a.limits.gpus])
    idle = [d for d in machine.devices if d.kind == "cuda"]
    if hindrance is not None and idle and job.local.device == "auto":
        count = counted(len(idle), "GPU")
        yield f"{count} will be idle: {hindrance.what} ({hindrance.fix})"
    if note := notes.idle_ranks(job, ranks):
        yield note


def _crowding(
    job: Job, machine: Machine, agents: Sequence[AgentPlan], ranks: Sequence[RankPlan]
) -> Iterator[str]:
    all_standbys = notes.standbys(job, len(agents), len(ranks))
    sums = (
        notes.crowded_cores(machine.cpus, ranks),
        notes.crowded_memory(machine.memory_bytes, len(ranks), all_standbys),
    )
    yield from filter(None, sums)
    for agent in agents:
        memory = agent.limits.memory_bytes if agent.limits else 0
        own = len(agent.ranks)
        if note := notes.crowded_memory(memory, own, notes.standbys(job, 1, own)):
            yield f"{agent.machine}: {note}"
