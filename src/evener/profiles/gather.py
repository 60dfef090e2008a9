"""The profiles that the record of a bench amounts to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evener import events
from evener.profiles.fit import Expected
from evener.profiles.model import LinkProfile, MachineProfile, Profiles, RankProfile
from evener.versions import Versions

FIGURES = 6  # no clock of ours is more exact


@dataclass(frozen=True, slots=True)
class Occasion:
    """When and with what was measured."""

    measured_at: str
    versions: Versions
    job: str | None = None
    depends_on: Mapping[str, Any] | None = None


def gather(
    told: Iterable[events.Event], expected: Sequence[Expected], occasion: Occasion
) -> Profiles:
    """What is told twice, after a rank was lost, counts the second time."""
    seen: dict[str, dict[str, Any]] = {}
    machines: dict[str, events.MachineProfiled] = {}
    ranks: dict[int, events.RankProfiled] = {}
    links: dict[tuple[int, int], events.LinkMeasured] = {}
    for event in told:
        match event:
            case events.MachineSeen(agent, machine):
                seen[agent] = machine
            case events.MachineProfiled():
                machines[event.agent] = event
            case events.RankProfiled():
                ranks[event.rank] = event
            case events.LinkMeasured():
                links[event.from_rank, event.to_rank] = event
    plans = {e.rank: e for e in expected}
    first = {e.agent: e for e in reversed(expected)}
    return Profiles(
        v=1,
        measured_at=occasion.measured_at,
        evener=occasion.versions.evener,
        torch=occasion.versions.torch,
        job=occasion.job,
        parameters=next((r.parameters for r in ranks.values()), None) or None,
        depends_on=dict(occasion.depends_on or {}),
        machines=tuple(
            of_machine(first[agent], found, seen.get(agent, {}))
            for agent, found in sorted(machines.items())
            if agent in first
        ),
        ranks=tuple(_of_rank(plans[n], ranks[n]) for n in sorted(ranks) if n in plans),
        links=tuple(_of_link(links[pair]) for pair in sorted(links)),
    )


def of_machine(
    plan: Expected, found: events.MachineProfiled, seen: Mapping[str, Any]
) -> MachineProfile:
    """`seen` is the machine's cluster.Machine, as it was told."""
    products = found.matmul_flop_per_s.items()
    return MachineProfile(
        name=plan.machine,
        system=str(seen.get("system", "")),
        processor=str(seen.get("cpu_name", "")),
        cpus=plan.cpus,
        memory_bytes=int(seen.get("memory_bytes") or 0) or None,
        device=found.device,
        threads=found.threads,
        memory_bytes_per_s=_short(found.memory_bytes_per_s),
        matmul_flop_per_s={name: _short(speed) for name, speed in products},
        disk_read_bytes_per_s=_short(found.disk_read_bytes_per_s),
        disk_write_bytes_per_s=_short(found.disk_write_bytes_per_s),
        note=found.note,
    )


def _of_rank(plan: Expected, found: events.RankProfiled) -> RankProfile:
    points = zip(found.samples, found.seconds, strict=True)
    return RankProfile(
        rank=found.rank,
        machine=plan.machine,
        device=plan.device,
        hardware=plan.hardware,
        threads=plan.threads,
        micro_batch=found.micro_batch,
        points=tuple((n, _rounded(t)) for n, t in points),
        fixed_s=_rounded(found.fixed_s),
        per_sample_s=_rounded(found.per_sample_s),
        memory_bytes=found.memory_bytes or None,
        note=found.note,
    )


def _of_link(found: events.LinkMeasured) -> LinkProfile:
    return LinkProfile(
        found.from_rank, found.to_rank, _rounded(found.bytes_per_s), _rounded(found.latency_s)
    )


def _short(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) or value <= 0 else _rounded(value)


def _rounded(value: float) -> float:
    return float(f"{value:.{FIGURES}g}")
