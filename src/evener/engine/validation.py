"""The validation set, every sample once, cut among the ranks without padding."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from evener import shares
from evener.config import schema
from evener.data.loader import Request, Stream
from evener.data.sources import Source
from evener.engine.progress import Progress
from evener.engine.task import NextToken, move
from evener.engine.worker import Worker
from evener.rank import device as devices
from evener.rank.group import Group


@dataclass(frozen=True, slots=True)
class Result:
    """Means over the whole set, the same on all ranks."""

    loss: float
    count: float
    metrics: dict[str, float]

    def value(self, metric: str) -> float | None:
        return self.loss if metric == "loss" else self.metrics.get(metric)


def validate(
    worker: Worker, group: Group, source: Source, weights: tuple[int, ...], fits: int | None = None
) -> Result:
    """Pass the set once. `weights` are the training shares: the fast take more here too. `fits`
    is how many samples at once this rank has memory for, if that is known."""
    worker.merge_buffers(group)
    cuts = [0, *np.cumsum(shares.split([float(w) for w in weights], len(source)))]
    start, stop = list(pairwise(int(c) for c in cuts))[group.index]
    size = worker.job.validation.batch or max(1, weights[group.index])
    requests = _requests(start, stop, min(size, fits or size))
    totals = _pass(worker, source, requests, group.pulse.beat)
    group.sum(totals)
    loss, count, *metrics = totals.tolist()
    means = {n: v / count for n, v in zip(worker.exam.metrics, metrics, strict=True)}
    if isinstance(worker.exam, NextToken):
        means["perplexity"] = math.exp(min(loss / count, 700.0))
    return Result(loss / count, count, means)


def _requests(start: int, stop: int, size: int) -> Iterator[Request]:
    for first in range(start, stop, size):
        yield Request(step=0, epoch=0, ids=np.arange(first, min(first + size, stop)))


def _pass(
    worker: Worker, source: Source, requests: Iterator[Request], beat: Callable[[], None]
) -> torch.Tensor:
    """Sums of loss, count and metrics over this rank's part."""
    data = worker.job.data
    totals = torch.zeros(2 + len(worker.exam.metrics), dtype=torch.float64)
    worker.model.eval()
    try:
        with torch.no_grad(), Stream(source, requests, data.workers, data.prefetch) as stream:
            for request, batch in stream:
                assert batch is not None
                beat()
                worker.last_piece = len(request.ids)
                with devices.autocast(worker.job.train.precision, worker.device):
                    moved = move(batch, worker.device, worker.dtype)
                    loss = worker.exam.loss(worker.forward, moved, training=False)
                metrics = [float(loss.metrics[n]) for n in worker.exam.metrics]
                sums = [float(loss.sum), loss.count, *metrics]
                totals += torch.tensor(sums, dtype=torch.float64)
    finally:
        worker.model.train()
    return totals


def due(config: schema.Validation, progress: Progress, per_epoch: int, at_end: bool) -> bool:
    """A function of the step alone, so that all ranks agree and a resumed run does too."""
    step = progress.step
    if step == 0 or progress.validated_step == step:
        return False
    if at_end:
        return config.at_end
    every = config.every_steps or (config.every_epochs or 0) * per_epoch
    return every > 0 and step % every == 0


def take_in(progress: Progress, job: schema.Job, result: Result) -> bool:
    """Note the result in the counters; True where it is the best by the checkpoints' metric."""
    progress.validated_step = progress.step
    stopping = job.early_stopping
    if stopping is not None:
        value = result.value(stopping.metric)
        better = value is not None and progress.improves(stopping.metric, value, stopping.min_delta)
        progress.without_improvement = 0 if better else progress.without_improvement + 1
    value = result.value(job.checkpoint.metric)
    best = value is not None and progress.improves(job.checkpoint.metric, value)
    for metric, number in {"loss": result.loss, **result.metrics}.items():
        if progress.improves(metric, number):
            progress.best[metric] = number
    return best
