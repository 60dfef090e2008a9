"""The plan of a run on a Docker Swarm: a container on each machine, with all that it has.

A machine's GPUs are those that its engine advertises as generic resources; nobody else can tell of
them. It has a rank for each, and one on its processors where there are none.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from evener.config.schema import Job
from evener.errors import DeviceMissing
from evener.placement import notes
from evener.placement import parts as batch_parts
from evener.placement.plan import PACKET_BYTES, SWARM, AgentPlan, Limits, Plan, RankPlan
from evener.placement.threads import threads_each
from evener.placement.words import counted

_NOT_IN_NAMES = re.compile(r"[^a-z0-9-]+")
_HEAD = "head"  # which is in their network, too
_NO_GPU = "its engine advertises no GPU (node-generic-resources in its daemon.json)"
_SHORTENED = re.compile(r"GPU-[0-9a-f-]{1,35}")
_NAME_LENGTH = 40  # a service's name has 63, ours among them


@dataclass(frozen=True, slots=True)
class Place:
    """A machine of the Swarm: `id` is what the Swarm calls it. `why_not`: no rank can be there."""

    id: str
    name: str
    cpus: float
    why_not: str = ""
    gpu_kind: str = ""  # what the Swarm calls its GPUs
    gpus: tuple[str, ...] = ()  # by UUID; "" where only their number is known
    packet_bytes: int | None = None  # that pass on the way there, where that is known


def plan_swarm(job: Job, places: Sequence[Place]) -> Plan:
    """Each machine that can have a rank, or the first `local.workers` of them; of a script as many
    ranks on each as script.nproc says. The first of `places` is where it is planned.

    Raises DeviceMissing where there are fewer than were asked for.
    """
    if job.local.device == "mps":
        raise DeviceMissing(
            'local.device is "mps", and no container can use an Apple GPU',
            where="--on swarm",
            fix="set local.device to auto, cuda or cpu",
        )
    here = places[0] if places else None
    places = [_as_asked(job, place) for place in places]
    fit = [place for place in places if not place.why_not]
    count = job.local.workers or len(fit)
    if count > len(fit) or not fit:
        raise DeviceMissing(
            f"{counted(count or 1, 'machine')} of the Swarm is wanted, and {len(fit)} can be used"
            + "".join(f"; {p.name}: {p.why_not}" for p in places if p.why_not),
            where="--on swarm",
            fix="`docker node ls` lists them; bring machines back, or ask for fewer (--workers)",
        )
    used = fit[:count]
    _check_names(used)
    agents = tuple(_agents(job, used))
    ranks = [rank for agent in agents for rank in agent.ranks]
    batch_parts.check(job, ranks)
    return Plan(
        job_name=job.name or "",
        place=SWARM,
        agents=agents,
        notes=(*_notes(job, places, ranks), *_narrow_ways(used)),
        env=job.env.variables,
        packet_bytes=min(map(_passing, used)),
        home=here.id if here and not here.why_not else "",  # a drained one takes no services
    )


def with_joined(plan: Plan, job: Job, places: Sequence[Place]) -> Plan:
    """The plan with an agent more for each machine that was not in it; the same where there is
    none, or the job says how many there are to be. A machine to which the network's packets do not
    pass is none: it would hang in the first exchange."""
    known = {agent.node for agent in plan.agents}
    places = [_as_asked(job, place) for place in places]
    new = [
        place
        for place in places
        if place.id not in known and not place.why_not and _passing(place) >= plan.packet_bytes
    ]
    if job.local.workers is not None or not new:
        return plan
    return replace(plan, agents=(*plan.agents, *_agents(job, new, plan.agents)))


def _as_asked(job: Job, place: Place) -> Place:
    """With GPUs only where they can be used, and left out where they are insisted on."""
    if job.local.device == "cpu" or job.image.cuda == "cpu":
        place = replace(place, gpus=())
    if job.local.device == "cuda" and not (place.gpus or place.why_not):
        return replace(place, why_not=f"local.device is cuda, and {_NO_GPU}")
    return place


def _check_names(places: Sequence[Place]) -> None:
    for place in places:
        if short := next((g for g in place.gpus if _SHORTENED.fullmatch(g)), None):
            raise DeviceMissing(
                f"the engine of {place.name} calls a GPU {short}, which NVIDIA's toolkit does not "
                "know it by",
                where=place.name,
                fix="write its whole UUID (`nvidia-smi -L`) into node-generic-resources of that "
                "machine's daemon.json, and restart its engine; or use processors: "
                "-o local.device=cpu",
            )


def _passing(place: Place) -> int:
    """What is larger than usual between here and there may not be so between others."""
    return min(place.packet_bytes or PACKET_BYTES, PACKET_BYTES)


def _narrow_ways(places: Sequence[Place]) -> Iterator[str]:
    for place in places:
        if (most := _passing(place)) < PACKET_BYTES:
            yield (
                f"packets of {most} bytes pass to {place.name}, not {PACKET_BYTES}: the run's "
                "network is made for these"
            )


def _agents(
    job: Job, places: Sequence[Place], before: Sequence[AgentPlan] = ()
) -> Iterator[AgentPlan]:
    names = aliases([place.name for place in places], {agent.machine for agent in before})
    first = max((rank.rank for agent in before for rank in agent.ranks), default=-1) + 1
    for number, (place, name) in enumerate(zip(places, names, strict=True), len(before)):
        ranks = tuple(_ranks(job, place, first))
        limits = Limits(cpus=place.cpus, gpus=place.gpus, gpu_kind=place.gpu_kind)
        yield AgentPlan(f"a{number:02d}", name, ranks, limits, place.id)
        first += len(ranks)


def _ranks(job: Job, place: Place, first: int) -> Iterator[RankPlan]:
    devices = [f"cuda:{n}" for n in range(len(place.gpus))] or ["cpu"]
    count = job.script.nproc or len(devices)
    devices = [devices[n % len(devices)] for n in range(count)]
    threads, share = threads_each(job, place.cpus, len(devices))
    kind = "GPU" if place.gpus else "cpu"
    for number, device in enumerate(devices, first):
        yield RankPlan(
            number, device, threads, f"{kind} of {place.name}; {share}", batch_parts.of_rank(job)
        )


def aliases(names: Sequence[str], taken: Iterable[str]) -> Iterator[str]:
    """As names in a network may be: two machines may be called the same."""
    given = {_HEAD, *taken}
    for name in names:
        plain = _NOT_IN_NAMES.sub("-", name.lower()).strip("-")[:_NAME_LENGTH] or "machine"
        numbered = (f"{plain}-{number}" for number in itertools.count(2))
        alias = next(each for each in itertools.chain([plain], numbered) if each not in given)
        given.add(alias)
        yield alias


def _notes(job: Job, places: Sequence[Place], ranks: Sequence[RankPlan]) -> Iterator[str]:
    for place in places:
        if place.why_not:
            yield f"left out: {place.name}, {place.why_not}"
    if job.machines:
        yield "[[machines]] limits the containers of --on docker only"
    if job.local.cpu_workers:
        yield "local.cpu_workers does not count here: a machine has GPUs, or one rank on its cpu"
    if note := notes.idle_ranks(job, ranks):
        yield note
