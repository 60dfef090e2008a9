"""The steps of one generation: each of them, what falls due between two, and what is told of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch

from evener.data.loader import Request, Stream
from evener.data.order import Batch
from evener.engine import boundary, parking
from evener.engine.balance import Balance, Look
from evener.engine.exchange import Exchange
from evener.engine.muster import Muster, Parting
from evener.engine.pieces import Pieces
from evener.engine.step import Asks, Outcome, Part, Spent, take_step
from evener.engine.task import Moved, Piece, Work
from evener.engine.training import Training
from evener.errors import Diverged
from evener.events import SharesChanged, SpeedsFitted, StepCommitted
from evener.orders import Done, Recall
from evener.rank.group import Group
from evener.rundir.ledger import Line


@dataclass(slots=True)
class Pace:
    """Samples and seconds of the run, as this rank sees it."""

    samples: int = 0
    seconds: float = 0.0

    def add(self, samples: int, seconds: float) -> None:
        self.samples += samples
        self.seconds += seconds

    @property
    def samples_per_s(self) -> float:
        return self.samples / self.seconds if self.seconds > 0 else 0.0


@dataclass(slots=True)
class Round:
    """The steps of one generation."""

    training: Training
    group: Group
    exchanges: Sequence[Exchange]  # of each optimizer
    balance: Balance
    muster: Muster
    asks: Asks = field(default_factory=Asks)  # what all ranks heard in the last step
    before: Spent = field(default_factory=Spent)  # what the last step cost here
    before_s: float = 0.0  # and how long it took; 0: there was none yet
    pace: Pace = field(default_factory=Pace)  # of the run, since the last look at the speeds

    def steps(self) -> Work[Done | None]:
        """Step by step, until the run is over (Done), or all pause at one boundary (None)."""
        training, loading = self.training, self.training.job.data
        self._tell_shares(training.worker.progress.step, self.balance.current, "a new generation")
        with Stream(
            training.data.train, self._requests(), loading.workers, loading.prefetch
        ) as stream:
            batches = iter(stream)
            while True:
                weights = self.balance.at(training.worker.progress.step)
                boundary.attend(training, self.group, weights, self.asks)
                done = self._over()
                if done is not None or self.asks.pause:
                    self._tell_time()
                    return done
                outcome = yield from self._commit(batches)
                began = time.perf_counter()
                yield Moved(committed=True)
                self.before.forward_s += time.perf_counter() - began  # the script's own afterwards
                if partings := self._rebalance(outcome):
                    self._tell_time()
                    parking.park(training, self.group, self.balance.known, partings)
                    return None

    def _requests(self) -> Iterator[Request]:
        """What this rank is to load, from the next step on, by the shares in force then."""
        order, progress = self.training.order, self.training.worker.progress
        step, cursor = progress.step, progress.cursor
        while not self.training.over(step, cursor):
            batch = order.batch(cursor)
            for start, stop in self._pieces(step, batch).spans:
                yield Request(step, batch.epoch, order.ids(batch.epoch, start, stop))
            step, cursor = step + 1, cursor + batch.stop - batch.start

    def _pieces(self, step: int, batch: Batch) -> Pieces:
        """This rank's cut of `batch` in micro-batches; one empty one if it has no samples."""
        way = self.training.cutting(self.group.size)
        return way.of(batch, self.balance.at(step), self.group.index)

    def _commit(self, batches: Iterator[boundary.Loaded]) -> Work[Outcome]:
        """One step; when this ends it has happened, on this rank."""
        began = time.perf_counter()
        training, progress = self.training, self.training.worker.progress
        batch = training.order.batch(progress.cursor)
        pieces = self._pieces(progress.step, batch)
        spans = iter(pieces.spans)

        def fetch() -> Piece | None:
            self.group.pulse.beat()
            request, loaded = next(batches)
            start = next(spans)[0]
            if loaded is None:
                return None
            return Piece(
                loaded, len(request.ids), progress.step, batch.epoch, start - batch.start,
                batch.size, pieces.ghost,
            )  # fmt: skip

        part = Part(
            fetch, len(pieces.spans), pieces.spans[0][0], self._own_asks(), self.before,
            pieces.ghost,
        )  # fmt: skip
        outcome = yield from take_step(training.worker, self.exchanges, part)
        self._take_in(outcome, batch, began)
        return outcome

    def _take_in(self, outcome: Outcome, batch: Batch, began: float) -> None:
        """The step is committed: counters move, and it is told."""
        training, progress = self.training, self.training.worker.progress
        progress.step += 1
        progress.cursor += batch.stop - batch.start
        training.worker.committed()
        training.worker.samples_since_merge += outcome.spent.samples
        self.before.settle_wait(max(outcome.measured.seconds))
        self._tell_time()
        self.before, self.asks = outcome.spent, outcome.asks
        self.before_s = time.perf_counter() - began
        self.before.predicted_s = self.balance.predicted_s(self.group.index, self.before.samples)
        self.pace.add(batch.stop - batch.start, self.before_s)
        self._enter(outcome, batch)
        self._publish(outcome, batch)
        self._check_sanity()

    def _enter(self, outcome: Outcome, batch: Batch) -> None:
        """What was computed, into this rank's ledger."""
        step, way = self.training.worker.progress.step, self.training.cutting(self.group.size)
        line = Line(
            time=time.time(),
            ballot=self.group.generation.ballot,
            step=step,
            epoch=batch.epoch,
            start=batch.start,
            stop=batch.stop,
            shares=way.parts(batch, self.balance.at(step - 1)),
            place=self.group.index,
            loss=outcome.loss,
        )
        self.training.ledger.write(line)

    def _tell_time(self) -> None:
        """Where the time of the step before went: who was waited for is known one step later."""
        if self.before_s:
            step = self.training.worker.progress.step
            self.training.reporter.committed(step, self.before, self.before_s)
            self.before_s = 0.0

    def _own_asks(self) -> Asks:
        link = self.training.link
        lead = self.group.index == 0
        return Asks(
            pause=link.halt_asked,
            stop=link.stop_asked is not None,
            save=lead and (self.training.save_due() or link.save_asked),
        )

    def _publish(self, outcome: Outcome, batch: Batch) -> None:
        training, progress = self.training, self.training.worker.progress
        event = StepCommitted(
            step=progress.step,
            epoch=batch.epoch,
            cursor=progress.cursor,
            loss=outcome.loss,
            count=outcome.count,
            samples=batch.stop - batch.start,
            lr=outcome.lr,
            grad_norm=outcome.grad_norm,
            seconds=self.before_s,
            generation=self.group.generation.ballot.number,
            metrics=training.worker.read(outcome.metrics),
            skipped=outcome.skipped,
        )
        if progress.step % training.job.log.every_steps == 0:
            training.reporter.agree(event, lead=self.group.index == 0)

    def _check_sanity(self) -> None:
        progress, train = self.training.worker.progress, self.training.job.train
        if progress.skipped_in_a_row >= train.max_skipped:
            raise Diverged(
                f"{progress.skipped_in_a_row} steps in a row had gradients that are not finite",
                where=f"step {progress.step}",
                fix="lower train.lr, clip with train.clip_norm, or resume an older checkpoint",
            )

    def _over(self) -> Done | None:
        """The end, with everything on disk before any rank leaves."""
        training, progress = self.training, self.training.worker.progress
        finished = training.stopping_early or training.at_end
        if not (finished or self.asks.stop):
            return None
        if self.group.index == 0:
            with self.group.pulse.rest():
                training.keeper.wait()
                if finished:
                    training.keeper.export(training.worker)
        self.group.sum(torch.zeros(1))  # nobody is done before the lead has written
        return Done("finished" if finished else "stopped", progress.step)

    def _rebalance(self, outcome: Outcome) -> list[Parting]:
        """Look at the speeds when it is time; returns who is to stand aside from now on."""
        progress, balance = self.training.worker.progress, self.balance
        change = balance.observe(progress.step - 1, outcome.measured)
        if change is not None:
            self._tell_shares(change.step, change.shares, "measured speeds")
        if balance.look is None:
            return []
        self._tell_speeds(balance.look)
        partings: list[Parting] = []
        if self.training.job.balance.parks and balance.pending is None:
            partings = self.muster.judge(balance.look.speeds, balance.look.seconds)
            self._recall(balance.look)
        self.pace = Pace()
        progress.balance = balance.known.to_dict()
        return partings

    def _recall(self, look: Look) -> None:
        """Parked ranks that would help now come back, as newcomers do."""
        called = self.muster.recalls(look.speeds)
        self.balance.known.parked -= {*called}
        if called and self.group.index == 0:
            self.training.link.say(Recall(called))

    def _tell_speeds(self, look: Look) -> None:
        if self.group.index == 0:
            event = SpeedsFitted(
                step=self.training.worker.progress.step,
                ranks=self.balance.ranks,
                shares=look.shares,
                fixed_s=tuple(s.fixed_s for s in look.speeds),
                per_sample_s=tuple(s.per_sample_s for s in look.speeds),
                samples_per_s=self.pace.samples_per_s,
                alone_samples_per_s=look.alone,
                possible_samples_per_s=look.possible,
            )
            self.training.reporter.emit(event)

    def _tell_shares(self, step: int, shares: tuple[int, ...], reason: str) -> None:
        if self.group.index == 0:
            shares = self.training.cutting(self.group.size).shares(shares)
            event = SharesChanged(step, self.balance.ranks, shares, reason)
            self.training.reporter.emit(event)
