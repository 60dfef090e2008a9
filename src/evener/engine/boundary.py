"""What falls due between two steps: comparing replicas, validation, a sample, a checkpoint.

Each is due by the step alone, or by an ask that all ranks heard in the same step, so all ranks
come here for the same thing. Whatever breaks off is due again in the next generation.
"""

from __future__ import annotations

import time
from time import perf_counter

import torch

from evener.data.loader import Request
from evener.data.sources import DataSet
from evener.engine import compare, validation
from evener.engine.step import Asks
from evener.engine.task import Batch
from evener.engine.training import Training
from evener.events import TextSampled, Validated
from evener.models.generate import generate
from evener.rank.group import Group

Loaded = tuple[Request, Batch | None]


def attend(training: Training, group: Group, weights: tuple[int, ...], asks: Asks) -> None:
    """Do what is due at this step, on all ranks alike; the lead also writes and publishes."""
    progress, job = training.worker.progress, training.job
    at_end = training.at_end
    best, metric = False, None
    per_epoch = training.order.steps_per_epoch
    if group.size > 1 and compare.due(job.train.compare_every_steps, progress.step):
        compare.compare(training, group)
    if training.data.validation is not None and validation.due(
        job.validation, progress, per_epoch, at_end
    ):
        best, metric = _validate(training, group, weights)
    if _sample_due(training, at_end):
        with group.pulse.rest():
            _sample(training, group)
    every = job.checkpoint.every_steps
    wanted = (
        asks.save
        or asks.stop
        or at_end
        or training.stopping_early
        or (best and job.checkpoint.keep_best > 0)
        or (every is not None and progress.step > 0 and progress.step % every == 0)
    )
    if wanted and progress.saved_step != progress.step:
        with group.pulse.rest():
            _save(training, group, metric, best)


def _validate(
    training: Training, group: Group, weights: tuple[int, ...]
) -> tuple[bool, float | None]:
    worker, source = training.worker, training.data.validation
    assert source is not None
    began = perf_counter()
    result = validation.validate(worker, group, source, weights, training.fits)
    best = validation.take_in(worker.progress, training.job, result)
    event = Validated(
        step=worker.progress.step,
        epoch=training.order.batch(max(0, worker.progress.cursor - 1)).epoch,
        loss=result.loss,
        count=result.count,
        metrics=result.metrics,
        seconds=perf_counter() - began,
        best=best,
    )
    training.reporter.agree(event, lead=group.index == 0)
    return best, result.value(training.job.checkpoint.metric)


def _sample_due(training: Training, at_end: bool) -> bool:
    wanted, progress = training.job.sample, training.worker.progress
    if wanted is None or progress.step == 0 or progress.sampled_step == progress.step:
        return False
    every = wanted.every_steps
    return (at_end and wanted.at_end) or (every is not None and progress.step % every == 0)


def _sample(training: Training, group: Group) -> None:
    """The lead writes; the others wait for it in their next sum."""
    wanted, worker, data = training.job.sample, training.worker, training.data
    assert wanted is not None
    worker.progress.sampled_step = worker.progress.step
    if group.index != 0 or not isinstance(data, DataSet) or data.codec is None:
        return
    codec = data.codec
    generator = torch.Generator().manual_seed(training.job.train.seed + worker.progress.step)
    ids = generate(
        worker.model,
        codec.encode(wanted.prompt),
        wanted.tokens,
        wanted.temperature,
        wanted.top_k,
        generator,
        data.shape.input[0],
    )
    training.reporter.emit(TextSampled(worker.progress.step, wanted.prompt, codec.decode(ids)))


def _save(training: Training, group: Group, metric: float | None, best: bool) -> None:
    worker = training.worker
    worker.merge_buffers(group)
    worker.progress.saved_step = worker.progress.step
    training.saved_at = time.monotonic()
    training.link.saved()
    if group.index == 0:
        training.keeper.save(worker.snapshot(), metric, best)


def restore(training: Training) -> None:
    """A source's first state, noted in its ledger: what it goes on from was there before. The
    newest checkpoint, else what it has: fresh weights, or those it parked."""
    worker, snapshot = training.worker, training.keeper.newest()
    if snapshot is not None:
        worker.restore(snapshot)
        worker.progress.balance = {}  # whoever wrote it may have been on other machines
    training.ledger.restored(time.time(), worker.progress.step)
