"""What is put on a run's record before anybody trains: that it begins, or that it could not."""

from __future__ import annotations

import time
from pathlib import PurePath

from evener.config.schema import Job
from evener.events import Record, RunEnded, RunStarted
from evener.placement import Plan
from evener.rundir.layout import RunDir
from evener.rundir.store import Store

SOURCE = "launcher"


def record(run: RunDir, event: RunStarted | RunEnded) -> None:
    """The number only has to be new for this run and this source; the time in microseconds is,
    and JSON readers of every language can hold it."""
    with Store.open(run.db, write=True) as store:
        store.append([Record(event, time.time(), SOURCE, time.time_ns() // 1000)])


def started(run: RunDir, job: Job, plan: Plan, *, resumed: bool) -> RunStarted:
    """Of a script its name is known, and of what it learns from that it has it by itself; of a
    torchrun script not even that."""
    script = PurePath(job.script.path).name
    return RunStarted(
        run=run.name,
        job=job.name or run.name,
        model=script or job.model.name,
        data="" if job.is_torchrun else "its own data" if script else job.data.name,
        ranks=len(plan.ranks),
        agents=len(plan.agents),
        global_batch=job.train.global_batch if job.batch_known else 0,
        resumed=resumed,
        place=plan.place,
    )
