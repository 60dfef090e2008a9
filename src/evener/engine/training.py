"""Everything one rank trains with: built once, alive as long as its process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from evener.config.schema import Job
from evener.data.order import Ordering
from evener.data.sources import Sources
from evener.engine.keeper import Keeper
from evener.engine.pieces import Cutting, cutting
from evener.engine.report import Reporter
from evener.engine.worker import Worker
from evener.membership.generation import Generation
from evener.orders import Order as Word
from evener.placement import TRAIN
from evener.rank.pulse import Pulse
from evener.rundir.ledger import Ledger
from evener.shares import Speed

if TYPE_CHECKING:
    from evener.engine.parking import Aside


class Agent(Protocol):
    """Who says with whom to train, and hears of it: `rank.link.Link`, or nobody."""

    pulse: Pulse

    @property
    def halt_asked(self) -> bool: ...

    @property
    def stop_asked(self) -> str | None: ...

    @property
    def save_asked(self) -> bool: ...

    def say(self, order: Word, /) -> None: ...

    def await_form(self, step: int, patience_s: float | None = None) -> Generation | None: ...

    def stand_aside(self) -> None: ...

    def return_to_work(self) -> None: ...

    def on_break(self, breaker: Callable[[], None], /) -> None: ...

    def saved(self) -> None: ...


@dataclass(slots=True)
class Training:
    """`loop` moves it; `boundary` attends to it between steps."""

    job: Job
    rank: int
    link: Agent
    store_port: int
    worker: Worker
    data: Sources
    order: Ordering
    total_steps: int  # 0: when its epochs are over, which only the end of a stream tells
    reporter: Reporter
    keeper: Keeper
    ledger: Ledger
    epochs: int | None = None  # where there are no total steps
    rehearses: bool = True  # a rank may be timed on samples of which nothing remains
    ghosts: bool = False  # a rank without samples computes one that counts nothing
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
        worker = self.worker
        way = cutting(self.job.train, worker.normed, ranks)
        if len(worker.moving) > 1:
            way = Cutting(together=True)
        way = replace(way, ghosts=way.together or self.ghosts)
        if self.fits is None or way.together:
            return way
        return replace(way, size=min(self.fits, way.size or self.fits))

    def over(self, step: int, cursor: int) -> bool:
        """Whether nothing is left to do after `step` steps, and so many samples."""
        if self.total_steps:
            return step >= self.total_steps
        return self.order.batch(cursor).epoch >= (self.epochs or 0)

    @property
    def at_end(self) -> bool:
        return self.over(self.worker.progress.step, self.worker.progress.cursor)

    @property
    def stopping_early(self) -> bool:
        """Validation has not improved for as long as the job allows."""
        stopping = self.job.early_stopping
        waited = self.worker.progress.without_improvement
        return stopping is not None and waited >= stopping.patience

    def save_due(self) -> bool:
        """By the clock: asked for by the lead alone, and then heard by all in the same step. A disk
        that takes longer than that is not waited for."""
        every_s = self.job.checkpoint.every_s
        late = every_s is not None and time.monotonic() - self.saved_at > every_s
        return late and not self.keeper.busy
