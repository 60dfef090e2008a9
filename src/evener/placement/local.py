"""The plan of a run as processes of one machine."""

from __future__ import annotations

from collections.abc import Sequence

from evener import versions
from evener.cluster import Device, Machine
from evener.config.schema import Job
from evener.errors import DeviceMissing
from evener.placement import notes, parts
from evener.placement.plan import LOCAL, AgentPlan, Plan, RankPlan
from evener.placement.threads import threads_each
from evener.placement.words import counted

_DEVICE_NAMES = {"cuda": "CUDA GPU", "mps": "Apple GPU (mps)"}
_BESIDE = "cpu, one of local.cpu_workers"


def plan(job: Job, machines: Sequence[Machine]) -> Plan:
    """The plan of a run as processes of the one machine given.

    Raises DeviceMissing where the job asks for a device that the machine cannot offer.
    """
    if len(machines) != 1:
        raise ValueError(f"a local run is planned on one machine, not on {len(machines)}")
    machine = machines[0]
    each = job.script.nproc or 0
    ranks = ranks_on(job, machine, job.local.workers or each * job.local.agents)
    parts.check(job, ranks)
    return Plan(
        job_name=job.name or "",
        place=LOCAL,
        agents=_deal(ranks, job.local.agents, machine.name),
        notes=_notes(job, machine, ranks),
        env=job.env.variables,
    )


def ranks_on(job: Job, machine: Machine, count: int | None, first: int = 0) -> list[RankPlan]:
    """Of one machine, numbered from `first` on: `count`, or one for each accelerator, or one.

    Raises DeviceMissing where the job asks for a device that the machine cannot offer.
    """
    devices, why = _devices(job, machine)
    count = count or job.script.nproc or len(devices) or 1
    names = [_device_name(devices[i % len(devices)]) if devices else "cpu" for i in range(count)]
    chosen = [(name, why) for name in names] + [("cpu", _BESIDE)] * job.local.cpu_workers
    threads, share = threads_each(job, machine.cpus, len(chosen))
    part = parts.of_rank(job)
    return [
        RankPlan(i, name, threads, f"{because}; {share}", part)
        for i, (name, because) in enumerate(chosen, first)
    ]


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
            return found, f"{kind}, because the machine has {counted(len(found), 'GPU')}"
        absent.append(missing)
    return [], "cpu, because " + " and ".join(absent)


def _usable(job: Job, machine: Machine, kind: str) -> tuple[list[Device], str]:
    """The machine's devices of `kind`, or what is missing."""
    found = [d for d in machine.devices if d.kind == kind]
    if not found:
        return [], f"there is no {_DEVICE_NAMES[kind]}"
    if kind == "cuda" and versions.is_for_processors(machine.torch):
        return [], f"torch {machine.torch} is built without CUDA"
    if kind == "mps" and job.train.precision == "fp64":
        return [], "mps has no 64-bit floats"
    return found, ""


def _device_name(device: Device) -> str:
    return f"cuda:{device.index}" if device.kind == "cuda" else device.kind


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


def _notes(job: Job, machine: Machine, ranks: Sequence[RankPlan]) -> tuple[str, ...]:
    standbys = notes.standbys(job, job.local.agents, len(ranks))
    gpus = [r.device for r in ranks if r.device != "cpu"]
    found = (
        notes.crowded_cores(machine.cpus, ranks),
        notes.crowded_memory(machine.memory_bytes, len(ranks), standbys),
        *notes.shared_gpus(gpus),
        _idle_gpu(job, machine),
        notes.idle_ranks(job, ranks),
        _unread_machines(job),
    )
    return tuple(note for note in found if note)


def _idle_gpu(job: Job, machine: Machine) -> str:
    gpus = [d for d in machine.devices if d.kind == "cuda"]
    if job.local.device != "auto" or not gpus or not versions.is_for_processors(machine.torch):
        return ""
    return f"{counted(len(gpus), 'GPU')} will be idle: torch {machine.torch} is built without CUDA"


def _unread_machines(job: Job) -> str:
    return "[[machines]] limits containers only (--on docker)" if job.machines else ""
