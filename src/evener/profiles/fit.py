"""Whether profiles are of the ranks that a plan has, of their machines and of the job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from evener.errors import ProfilesUnfit
from evener.profiles.model import MachineProfile, Profiles, RankProfile
from evener.shares import Speed
from evener.versions import Versions, differing

OLD_DAYS = 30  # drivers, neighbours and dust change a machine's speed
_AGAIN = "measure again: `evener bench JOB`"


@dataclass(frozen=True, slots=True)
class Expected:
    """A rank as it is planned: what it must have been measured as."""

    rank: int
    agent: str
    machine: str
    cpus: float  # of the machine
    device: str
    hardware: str  # the name of what it computes on
    threads: int


def fitting(
    profiles: Profiles, expected: Sequence[Expected], depends: Mapping[str, Any], label: str
) -> Profiles:
    """The profiles of exactly these ranks, numbered as they are; raises ProfilesUnfit.

    A rank of the same number comes first, but ranks that are alike may stand in for each other.
    """
    if not profiles.ranks:
        raise ProfilesUnfit(
            "these are profiles of machines alone: nothing is known of a rank's speed",
            where=label,
            fix="measure with the job: `evener bench JOB`",
        )
    _check_job(profiles, depends, label)
    taken: dict[int, RankProfile] = {}
    for wanted in expected:
        free = [r for r in profiles.ranks if r not in taken.values()]
        taken[wanted.rank] = _choose(wanted, free, profiles, label)
    return _only(profiles, taken)


def _check_job(profiles: Profiles, depends: Mapping[str, Any], label: str) -> None:
    then = profiles.depends_on
    keys = [k for k in {**depends, **then} if then.get(k) != depends.get(k)]
    if keys:
        more = f" (and {len(keys) - 1} more keys)" if len(keys) > 1 else ""
        raise ProfilesUnfit(
            f"they were measured with another job, {profiles.job!r}: {keys[0]} was "
            f"{then.get(keys[0])!r} then and is {depends.get(keys[0])!r} now{more}",
            where=label,
            fix=f"{_AGAIN}, or leave --profiles out",
        )


def _choose(
    wanted: Expected, free: Sequence[RankProfile], profiles: Profiles, label: str
) -> RankProfile:
    """Raises what is nearest to the truth: no such rank, or one on other hardware."""
    there = [r for r in free if (r.machine, r.device) == (wanted.machine, wanted.device)]
    there.sort(key=lambda r: r.rank != wanted.rank)
    if not there:
        has = "; ".join(f"rank {r.rank} on {r.machine}, {r.device}" for r in free)
        raise ProfilesUnfit(
            f"rank {wanted.rank} is planned on machine {wanted.machine} with device "
            f"{wanted.device}, and there is no profile of that; "
            f"{'unused: ' + has if has else 'all of them are used'}",
            where=label,
            fix=f"{_AGAIN}, with the same --on, --workers and -o as the run",
        )
    differences = [_differences(wanted, r, profiles.machine(r.machine)) for r in there]
    fit = next((r for r, found in zip(there, differences, strict=True) if not found), None)
    if fit is None:
        raise ProfilesUnfit(
            f"rank {wanted.rank} on {wanted.machine} was measured on other hardware: "
            + ", ".join(differences[0]),
            where=label,
            fix=_AGAIN,
        )
    return fit


def _differences(wanted: Expected, found: RankProfile, machine: MachineProfile | None) -> list[str]:
    pairs = [
        ("hardware", found.hardware, wanted.hardware),
        ("threads", found.threads, wanted.threads),
        ("cpus", machine.cpus if machine else None, wanted.cpus),
    ]
    return [f"{what} were {old} and are {new}" for what, old, new in pairs if old != new]


def _only(profiles: Profiles, taken: Mapping[int, RankProfile]) -> Profiles:
    numbers = {found.rank: rank for rank, found in taken.items()}
    links = (
        replace(link, from_rank=numbers[link.from_rank], to_rank=numbers[link.to_rank])
        for link in profiles.links
        if link.from_rank in numbers and link.to_rank in numbers
    )
    ranks = tuple(replace(found, rank=rank) for rank, found in taken.items())
    return replace(profiles, ranks=ranks, links=tuple(links))


def speeds(profiles: Profiles) -> dict[int, Speed]:
    return {r.rank: Speed(r.fixed_s, r.per_sample_s) for r in profiles.ranks}


def notes(profiles: Profiles, now: datetime, versions: Versions) -> tuple[str, ...]:
    """What may make the figures wrong, though they fit."""
    measured = datetime.fromisoformat(profiles.measured_at)
    if measured.tzinfo is None:
        measured = measured.replace(tzinfo=UTC)
    days = (now - measured).days
    found = []
    if days > OLD_DAYS:
        found.append(f"the profiles are {days} days old; `evener bench JOB` makes new ones")
    for name in differing(Versions(profiles.evener, profiles.torch), versions):
        then, now_is = getattr(profiles, name), getattr(versions, name)
        found.append(f"the profiles were measured with {name} {then}; this is {now_is}")
    return tuple(found)
