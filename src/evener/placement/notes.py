"""Warnings: the run works, but slower than it could."""

from __future__ import annotations

from collections.abc import Sequence

from evener import units
from evener.config.schema import Job
from evener.placement.plan import RankPlan
from evener.placement.words import cores, counted

RANK_MEMORY_BYTES = 400 * 10**6  # measured: 360 MiB resident for torch and a small model


def crowded_cores(cpus: float, ranks: Sequence[RankPlan]) -> str:
    threads = sum(r.threads for r in ranks)
    if threads <= max(1.0, cpus):
        return ""
    return (
        f"{counted(threads, 'thread')} on {cores(cpus)}: they wait for each other, and a "
        "step takes longer than with fewer (local.workers, local.threads)"
    )


def standbys(job: Job, agents: int, ranks: int) -> int:
    """Processes beside the ranks: of a torchrun script all start anew when one is lost."""
    if not job.membership.standby:
        return 0
    return ranks if job.is_torchrun else agents


def crowded_memory(memory_bytes: int, ranks: int, standbys: int) -> str:
    """Of a machine, or of a container that has a limit; 0 where it is not known."""
    need = (ranks + standbys) * RANK_MEMORY_BYTES
    if not memory_bytes or need <= memory_bytes:
        return ""
    spare = f" and {counted(standbys, 'standby')}" if standbys else ""
    return (
        f"{counted(ranks, 'rank')}{spare} need about {units.show_size(need)} before the "
        f"model; there are {units.show_size(memory_bytes)} "
        "(local.workers, membership.standby)"
    )


def shared_gpus(used: Sequence[str]) -> list[str]:
    """`used`: the GPU of each rank that has one."""
    crowded = sorted({name for name in used if used.count(name) > 1})
    return [f"{used.count(n)} ranks share {n}: no faster than one rank on it" for n in crowded]


def idle_ranks(job: Job, ranks: Sequence[RankPlan]) -> str:
    if len(ranks) <= job.train.global_batch or not job.batch_known:
        return ""
    return (
        f"a global batch of {counted(job.train.global_batch, 'sample')} cannot occupy "
        f"{counted(len(ranks), 'rank')}"
    )
