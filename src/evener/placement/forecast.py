"""What a plan will come to: who takes how much of a batch, what each adds, who adds too little.

From speeds that were measured before. The exchange of gradients is estimated where the links are
known, as if none of it were hidden by computing; a run is that much faster, or less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evener import shares
from evener.config.schema import Job
from evener.placement.plan import Plan
from evener.profiles import Profiles, speeds
from evener.shares import Speed
from evener.units import show_interval

LEAST_GAIN = 0.02  # a rank that adds less is not worth waiting for
_BYTES = {"fp64": 8}  # of one number of a gradient; 4 otherwise, whatever it was computed in


@dataclass(frozen=True, slots=True)
class Part:
    """One rank's part in a step. `adds` is what the run gains by it: 0.4 is 40 % more samples a
    second than without; None where there is nobody else."""

    rank: int
    machine: str
    share: int
    alone_samples_per_s: float  # with the whole batch to itself
    adds: float | None
    trains: bool
    reason: str


@dataclass(frozen=True, slots=True)
class MachinePart:
    """All of a machine's ranks together."""

    machine: str
    ranks: tuple[int, ...]
    share: int
    adds: float | None
    trains: bool


@dataclass(frozen=True, slots=True)
class Forecast:
    """Of one step, and of the whole."""

    parts: tuple[Part, ...]
    machines: tuple[MachinePart, ...]
    compute_s: float
    exchange_s: float | None
    exchange_note: str  # what it was estimated from, or why it was not
    samples_per_s: float
    alone_samples_per_s: float  # the sum of what they do alone: left out, or not
    ceiling_samples_per_s: float  # what no cut of the batch can surpass

    @property
    def step_s(self) -> float:
        return self.compute_s + (self.exchange_s or 0.0)


def forecast(job: Job, plan: Plan, known: Profiles) -> Forecast:
    """`known` are profiles that fit the plan."""
    total, by_rank = job.train.global_batch, speeds(known)
    ranks = [rank.rank for rank in plan.ranks]
    own = [by_rank[rank] for rank in ranks]
    given = _given(job, ranks)
    chosen = (True,) * len(ranks) if given else team(own, total, LEAST_GAIN)
    cut = given or _among(own, chosen, total)
    compute_s = shares.step_time(own, cut)
    exchange_s, note = exchange(job, known, [r for r, c in zip(ranks, cut, strict=True) if c])
    machines = {rank.rank: agent.machine for agent in plan.agents for rank in agent.ranks}
    parts = tuple(_part(i, rank, machines[rank], own, chosen, cut) for i, rank in enumerate(ranks))
    return Forecast(
        parts=parts,
        machines=tuple(_machines(parts, own, chosen, total)),
        compute_s=compute_s,
        exchange_s=exchange_s,
        exchange_note=note,
        samples_per_s=total / (compute_s + (exchange_s or 0.0)),
        alone_samples_per_s=sum(total / s.time_s(total) for s in own),
        ceiling_samples_per_s=total / least_time_s(own, total),
    )


def team(speeds: Sequence[Speed], total: int, least_gain: float) -> tuple[bool, ...]:
    """Who is worth waiting for: the fastest, then each next one that still adds `least_gain`."""
    order = sorted(range(len(speeds)), key=lambda i: speeds[i].time_s(total))
    chosen = [False] * len(speeds)
    best_s = float("inf")
    for index in order:
        chosen[index] = True
        with_it_s = _step_s(speeds, chosen, total)
        if best_s / with_it_s < 1 + least_gain:
            chosen[index] = False
        else:
            best_s = with_it_s
    return tuple(chosen)


def least_time_s(speeds: Sequence[Speed], total: int) -> float:
    """A step's time if samples could be cut into parts: every rank pays its fixed cost, and all
    end at once. Who has not begun by then takes none."""
    order = sorted(speeds, key=lambda s: s.fixed_s)
    best_s, above, below = float("inf"), float(total), 0.0
    for speed in order:
        if speed.fixed_s >= best_s:
            break
        above += speed.fixed_s / speed.per_sample_s
        below += 1 / speed.per_sample_s
        best_s = above / below
    return best_s


def exchange(job: Job, known: Profiles, ranks: Sequence[int]) -> tuple[float | None, str]:
    """Seconds to sum the gradients in a ring over the slowest link, and what that rests on."""
    if len(ranks) < 2:
        return 0.0, "one rank has nobody to exchange gradients with"
    if not known.parameters:
        return None, "not included: the size of the model is not known"
    links = [k for k in known.links if k.from_rank in ranks and k.to_rank in ranks]
    if not links:
        return None, "not included: the links were not measured"
    size = known.parameters * _BYTES.get(job.train.precision, 4)
    slowest = min(links, key=lambda link: link.bytes_per_s)
    rounds = 2 * (len(ranks) - 1)
    latency_s = rounds * max(link.latency_s for link in links)
    seconds = rounds / len(ranks) * size / slowest.bytes_per_s + latency_s
    return seconds, f"over the slowest link, rank {slowest.from_rank} to rank {slowest.to_rank}"


def _given(job: Job, ranks: Sequence[int]) -> tuple[int, ...]:
    """The shares that the job itself says; none where they follow the speeds."""
    if job.balance.weights is not None:
        weights = dict(enumerate(job.balance.weights))
        return shares.split([weights.get(rank, 1.0) for rank in ranks], job.train.global_batch)
    if job.balance.policy == "equal":
        return shares.split([1.0] * len(ranks), job.train.global_batch)
    return ()


def _among(speeds: Sequence[Speed], chosen: Sequence[bool], total: int) -> tuple[int, ...]:
    """The best cut among those who are chosen; the others take none."""
    members = [i for i, c in enumerate(chosen) if c]
    cut = dict(zip(members, shares.solve([speeds[i] for i in members], total), strict=True))
    return tuple(cut.get(i, 0) for i in range(len(speeds)))


def _step_s(speeds: Sequence[Speed], chosen: Sequence[bool], total: int) -> float:
    return shares.step_time(speeds, _among(speeds, chosen, total))


def _gain(
    speeds: Sequence[Speed], chosen: Sequence[bool], these: Sequence[int], total: int
) -> float | None:
    """How much faster a step is with `these` ranks than without."""
    without = [c and i not in these for i, c in enumerate(chosen)]
    if not any(without):
        return None
    with_them = [c or i in these for i, c in enumerate(chosen)]
    return _step_s(speeds, without, total) / _step_s(speeds, with_them, total) - 1


def _part(
    index: int,
    rank: int,
    machine: str,
    speeds: Sequence[Speed],
    chosen: Sequence[bool],
    cut: Sequence[int],
) -> Part:
    total, speed = sum(cut), speeds[index]
    adds = _gain(speeds, chosen, [index], total)
    return Part(
        rank=rank,
        machine=machine,
        share=cut[index],
        alone_samples_per_s=total / speed.time_s(total),
        adds=adds,
        trains=cut[index] > 0,
        reason=_reason(speed, cut[index], chosen[index], adds),
    )


def _reason(speed: Speed, share: int, chosen: bool, adds: float | None) -> str:
    cost = f"{show_interval(speed.fixed_s)} a step and {show_interval(speed.per_sample_s)} a sample"
    if not chosen:
        return f"left out: it would add {adds or 0:.1%}, and {LEAST_GAIN:.0%} is the least ({cost})"
    if not share:
        return f"no sample is left for it ({cost})"
    return f"busy for {show_interval(speed.time_s(share))}: {cost}"


def _machines(
    parts: Sequence[Part], speeds: Sequence[Speed], chosen: Sequence[bool], total: int
) -> list[MachinePart]:
    found: Mapping[str, list[int]] = {}
    for index, part in enumerate(parts):
        found = {**found, part.machine: [*found.get(part.machine, []), index]}
    return [
        MachinePart(
            machine=name,
            ranks=tuple(parts[i].rank for i in indices),
            share=sum(parts[i].share for i in indices),
            adds=_gain(speeds, chosen, indices, total),
            trains=any(parts[i].trains for i in indices),
        )
        for name, indices in found.items()
    ]
