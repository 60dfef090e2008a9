"""How many threads a rank computes with."""

from __future__ import annotations

import math

from evener import variables
from evener.config.schema import Job
from evener.placement.words import cores, counted


def threads_each(job: Job, cpus: float, ranks: int) -> tuple[int, str]:
    """Threads of each of the ranks that share `cpus`, and why."""
    told = job.env.variables.get(variables.THREADS, "")
    if told.isdigit() and int(told):
        return int(told), f"{counted(int(told), 'thread')}, as env.{variables.THREADS} says"
    if job.local.threads is not None:
        return job.local.threads, f"{counted(job.local.threads, 'thread')}, as the job says"
    threads = max(1, math.floor(cpus / ranks))
    each = counted(threads, "thread") + (" each" if ranks > 1 else "")
    reason = f"{cores(cpus)} for {counted(ranks, 'rank')}: {each}"
    return threads, reason + ("; the ranks share cores" if ranks > cpus else "")
