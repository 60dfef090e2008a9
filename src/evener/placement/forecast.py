"""What a plan will come to: who takes how much of a batch, what each adds, who adds too little.

From speeds that were measured before. The exchange of gradients is estimated where the links are
known, as if none of it were hidden by computing: a run is as fast as this, or faster.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from evener import shares
from evener.config.schema import Job
from evener.placement.plan import Plan
from evener.profiles import Profiles, speeds
from evener.shares import Bounds, Speed
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
    reason: str


@dataclass(frozen=True, slots=True)
class MachinePart:
    """All of a machine's ranks together."""

    machine: str
    ranks: tuple[int, ...]
    share: int
    adds: float | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """Of one step, and of the whole. Speeds are samples of the run per second."""

    parts: tuple[Part, ...]
    machines: tuple[MachinePart, ...]
    step_s: float
    compute_s: float  # of it, by the slowest
    exchange_s: float | None  # of it, at most; None where nothing is known of the links
    exchange_note: str  # what that rests on, or why it is missing
    samples_per_s: float
    alone_samples_per_s: float  # what all ranks do alone, added up, those left out too
    ceiling_samples_per_s: float  # what no cut of the batch can surpass


def forecast(job: Job, plan: Plan, known: Profiles) -> Forecast:
    """`known` are profiles that fit the plan."""
    parts_allowed = tuple(rank.part for rank in plan.ranks)
    steps = _Steps(job, known, tuple(rank.rank for rank in plan.ranks), parts_allowed)
    members = steps.members()
    cut = steps.cut(members)
    compute_s, (exchange_s, note) = steps.compute_s(members), steps.exchange(members)
    machines = {rank.rank: agent.machine for agent in plan.agents for rank in agent.ranks}
    parts = tuple(_part(steps, members, cut, i, machines[r]) for i, r in enumerate(steps.ranks))
    return Forecast(
        parts=parts,
        machines=tuple(_machines(steps, members, parts)),
        step_s=steps.seconds(members),
        compute_s=compute_s,
        exchange_s=exchange_s,
        exchange_note=note,
        samples_per_s=steps.total / steps.seconds(members),
        alone_samples_per_s=sum(steps.total / s.time_s(steps.total) for s in steps.speeds),
        ceiling_samples_per_s=steps.total / least_time_s(steps.speeds, steps.total),
    )


def least_time_s(speeds: Sequence[Speed], total: int) -> float:
    """A step's time if samples could be cut into parts: every rank pays its fixed cost, and all
    end at once. Who has not begun by then takes none."""
    best_s, above, below = float("inf"), float(total), 0.0
    for speed in sorted(speeds, key=lambda s: s.fixed_s):
        if speed.fixed_s >= best_s:
            break
        above += speed.fixed_s / speed.per_sample_s
        below += 1 / speed.per_sample_s
        best_s = above / below
    return best_s


@dataclass(frozen=True, slots=True)
class _Steps:
    """How long a step takes with some of the ranks. Ranks are named by their place in `ranks`."""

    job: Job
    known: Profiles
    ranks: tuple[int, ...]
    allowed: tuple[tuple[float, float], ...]  # of the batch, at least and at most
    total: int = field(init=False)
    speeds: tuple[Speed, ...] = field(init=False)

    def __post_init__(self) -> None:
        by_rank = speeds(self.known)
        object.__setattr__(self, "total", self.job.train.global_batch)
        object.__setattr__(self, "speeds", tuple(by_rank[rank] for rank in self.ranks))

    def members(self) -> frozenset[int]:
        """Who trains: all where the job lets nobody stand aside, else who is worth waiting for.

        Those who compute fast enough, less each whose link costs the others more than it does for
        them; or fewer, where exchanging gradients costs more than any company is worth.
        """
        everyone = frozenset(range(len(self.ranks)))
        if not self.job.balance.parks:
            return everyone
        linked = self._team(0.0)
        while losses := [(g, i) for i in linked if (g := self.gain(linked, {i}) or 0.0) < 0]:
            linked -= {min(losses)[1]}
        return min(linked, self._team(self.exchange(everyone)[0] or 0.0), key=self.seconds)

    def _team(self, exchange_s: float) -> frozenset[int]:
        chosen = shares.team(self.speeds, self.total, LEAST_GAIN, exchange_s)
        return frozenset(i for i, kept in enumerate(chosen) if kept)

    @property
    def weights(self) -> tuple[float, ...]:
        """What the job cuts the batch by; nothing where it follows the speeds."""
        if self.job.balance.weights is not None:
            told = dict(enumerate(self.job.balance.weights))
            return tuple(told.get(rank, 1.0) for rank in self.ranks)
        return (1.0,) * len(self.ranks) if self.job.balance.policy == "equal" else ()

    def cut(self, members: Collection[int]) -> tuple[int, ...]:
        """The share of every rank; of those who are no members, nothing."""
        own = sorted(members)
        if self.weights:
            given = shares.split([self.weights[i] for i in own], self.total)
        else:
            given = shares.solve([self.speeds[i] for i in own], self.total, self._bounds(own))
        by_place = dict(zip(own, given, strict=True))
        return tuple(by_place.get(i, 0) for i in range(len(self.ranks)))

    def _bounds(self, members: Sequence[int]) -> list[Bounds]:
        """As the balance of a run has them: one sample at least, and what cannot be kept is let
        go."""
        total, parts = self.total, [self.allowed[i] for i in members]
        least = [max(1, math.ceil(low * total)) for low, _ in parts]
        if sum(least) > total:
            least = [min(1, total // len(members))] * len(members)
        most = [max(n, math.floor(high * total)) for n, (_, high) in zip(least, parts, strict=True)]
        loose = sum(most) < total
        return [Bounds(a, None if loose else b) for a, b in zip(least, most, strict=True)]

    def compute_s(self, members: Collection[int]) -> float:
        return shares.step_time(self.speeds, self.cut(members))

    def seconds(self, members: Collection[int]) -> float:
        return self.compute_s(members) + (self.exchange(members)[0] or 0.0)

    def gain(self, members: Collection[int], these: Collection[int]) -> float | None:
        """How much faster steps are with `these` than without."""
        without = {*members} - {*these}
        if not without:
            return None
        return self.seconds(without) / self.seconds({*members} | {*these}) - 1

    def exchange(self, members: Collection[int]) -> tuple[float | None, str]:
        """Seconds to sum the gradients in a ring over the slowest link, and what that rests on."""
        ranks = {self.ranks[i] for i in members}
        if len(ranks) < 2:
            return 0.0, "one rank has nobody to exchange gradients with"
        if not self.known.parameters:
            return None, "not included, for the size of the model is not known"
        links = [k for k in self.known.links if {k.from_rank, k.to_rank} <= ranks]
        if not links:
            return None, "not included, for the links were not measured"
        size = self.known.parameters * _BYTES.get(self.job.train.precision, 4)
        slowest = min(links, key=lambda link: link.bytes_per_s)
        rounds = 2 * (len(ranks) - 1)
        latency_s = rounds * max(link.latency_s for link in links)
        seconds = rounds / len(ranks) * size / slowest.bytes_per_s + latency_s
        return seconds, f"the slowest link is rank {slowest.from_rank} to rank {slowest.to_rank}"


def _part(
    steps: _Steps, members: frozenset[int], cut: Sequence[int], place: int, machine: str
) -> Part:
    speed, share = steps.speeds[place], cut[place]
    cost = f"{show_interval(speed.fixed_s)} a step and {show_interval(speed.per_sample_s)} a sample"
    busy = f"busy for {show_interval(speed.time_s(share))}" if share else "no sample is left for it"
    return Part(
        rank=steps.ranks[place],
        machine=machine,
        share=share,
        alone_samples_per_s=steps.total / speed.time_s(steps.total),
        adds=steps.gain(members, {place}),
        reason=f"{busy}: {cost}" if place in members else _left_out(steps, members, place),
    )


def _left_out(steps: _Steps, members: frozenset[int], place: int) -> str:
    """With the numbers: what is slow, the rank or the way to it."""
    gain, own_s = steps.gain(members, {place}) or 0.0, steps.speeds[place].time_s(steps.total)
    what = f"add {gain * 100:.1f} %" if gain >= 0 else f"cost {-gain * 100:.1f} %"
    fastest_s = min(s.time_s(steps.total) for s in steps.speeds)
    why = (
        f"left out: it would {what}, and {LEAST_GAIN * 100:.0f} % is the least worth waiting for; "
        f"alone with the batch it takes {show_interval(own_s)}, the fastest "
        f"{show_interval(fastest_s)}"
    )
    without, with_it = (steps.exchange(m)[0] or 0.0 for m in (members, members | {place}))
    if with_it - without > LEAST_GAIN * steps.seconds(members):
        why += f"; with it, gradients are exchanged in {show_interval(with_it)} a step"
        why += f", not {show_interval(without)}" if without else ""
    return why


def _machines(steps: _Steps, members: Collection[int], parts: Sequence[Part]) -> list[MachinePart]:
    places: dict[str, list[int]] = {}
    for place, part in enumerate(parts):
        places.setdefault(part.machine, []).append(place)
    return [
        MachinePart(
            machine=name,
            ranks=tuple(parts[i].rank for i in own),
            share=sum(parts[i].share for i in own),
            adds=steps.gain(members, own),
        )
        for name, own in places.items()
    ]
