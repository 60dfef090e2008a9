"""Everything one rank trains with: built once, alive as long as its process."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from evener.config.schema import Job
from evener.data.order import Order
from evener.data.sources import DataSet
from evener.engine.keeper import Keeper
from evener.engine.pieces import Cutting, cutting
from evener.engine.report import Reporter
from evener.engine.worker import Worker
from evener.placement import TRAIN
from evener.rank.link import Link
from evener.rundir.ledger import Ledger
from evener.shares import Speed

if TYPE_CHECKING:
    from evener.engine.parking import Aside


@dataclass(slots=True)
class Training:
    """`loop` moves it; `boundary` attends to it between steps."""

    job: Job
    rank: int
    link: Link
    store_port: int
    worker: Worker
    data: DataSet
    order: Order
    total_steps: int
    reporter: Reporter
    keeper: Keeper
    ledger: Ledger
    purpose: str = TRAIN
    profiled: dict[int, Speed] = field(default_factory=dict)  # what is known besides the record
    part: tuple[float, float] = (0.0, 1.0)  # of the batch that this rank may take
    fits: int | None = None  # most samples at once, where memory does not do for a share
    aside: Aside | None = None  # while this rank is parked
    last_lead: int = -1
    saved_at: float = field(default_factory=time.monotonic)
    compared: bool = False  # with the other replicas, at least once
    said: set[str] = field(default_factory=lambda: {""})  # notes that the record has from here

    def cutting(self, ranks: int) -> Cutting:
        """How one of `ranks` puts its part of a batch through the model."""
        way = cutting(self.job.train, self.worker.normed, ranks)
        if self.fits is None or way.together:
            return way
        return replace(way, size=min(self.fits, way.size or self.fits))

    @property
    def stopping_early(self) -> bool:
        """Validation has not improved for as long as the job allows."""
        stopping = self.job.early_stopping
        waited = self.worker.progress.without_improvement
        return stopping is not None and waited >= stopping.patience

    def save_due(self) -> bool:
        """By the clock: asked for by the lead alone, and then heard by all in the same step."""
        every_s = self.job.checkpoint.every_s
        return every_s is not None and time.monotonic() - self.saved_at > every_s
