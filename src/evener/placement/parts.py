"""Which part of the batch a rank may take, as the job says, and whether such parts can add up."""

from __future__ import annotations

import math
from collections.abc import Sequence

from evener.config.machines import MachineWish
from evener.config.schema import Job
from evener.errors import BadCombination
from evener.placement.plan import RankPlan
from evener.placement.words import counted


def of_rank(job: Job, wish: MachineWish | None = None) -> tuple[float, float]:
    """At least and at most; a machine's own word comes before that of [balance]."""
    least = wish.min_share if wish else None
    most = wish.max_share if wish else None
    balance = job.balance
    return (
        balance.min_share if least is None else least,
        balance.max_share if most is None else most,
    )


def check(job: Job, ranks: Sequence[RankPlan]) -> None:
    """Raises BadCombination where no cut of the batch would keep all of them, as far as it is
    known how large that is."""
    if not job.batch_known:
        return
    total, count = job.train.global_batch, counted(len(ranks), "rank")
    for rank in ranks:
        least, most = rank.part
        if least > most:
            raise _wrong(
                f"rank {rank.rank} is to take {least:g} of the batch or more, and {most:g} or less",
                "lower min_share or raise max_share",
            )
        if most * total < 1:
            raise _wrong(
                f"max_share of rank {rank.rank} ({most:g}) of {total} samples is less than one",
                f"set it to {1 / total:.2g} or more",
            )
    least = sum(math.ceil(rank.part[0] * total) for rank in ranks)
    most = sum(math.floor(rank.part[1] * total) for rank in ranks)
    if least > total:
        raise _wrong(
            f"{count} are to take {least} samples or more together, and a batch has {total}",
            "lower min_share, or use fewer ranks",
        )
    if most < total:
        raise _wrong(
            f"{count} may take {most} samples together at most, and a batch has {total}",
            "raise max_share, or use more ranks",
        )


def _wrong(what: str, fix: str) -> BadCombination:
    return BadCombination(what, where="balance.min_share, balance.max_share", fix=fix)
