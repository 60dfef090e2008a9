"""Beside the group: a rank that does not help stands aside, and looks now and then whether it
would by now. Its agent may call it back at any moment, above all when the others are gone."""

from __future__ import annotations

from dataclasses import dataclass

from evener import shares
from evener.engine.knowledge import Knowledge
from evener.engine.muster import Parting, helps
from evener.engine.rehearse import rehearse
from evener.engine.training import Training
from evener.events import RankParked
from evener.membership.generation import Generation
from evener.rank.group import Group
from evener.shares import Speed

PROBE_S = 30.0  # between two looks at its own speed
PROBE_TAKES_S = 1.0  # about as long as a look may take
PROBES = 3  # of a rank that has become fast, each with as many samples as the one before allows
RETRY_S = 600.0  # who is held up by the exchange cannot see by itself whether that is better


@dataclass(slots=True)
class Aside:
    """What a parked rank judges itself by: the others as they were when it left."""

    own: Speed
    others: tuple[Speed, ...]
    total: int
    exchange_s: float
    waited_s: float = 0.0

    def has_use(self) -> bool:
        """With the exchange as it was; or without it, once that may be another."""
        exchange_s = 0.0 if self.waited_s >= RETRY_S else self.exchange_s
        return helps(self.own, self.others, self.total, exchange_s)


def park(training: Training, group: Group, known: Knowledge, partings: list[Parting]) -> None:
    """Tell of those who leave; if this rank is one of them, stand aside."""
    step = training.worker.progress.step
    for parting in partings:
        if group.index == 0:
            training.reporter.emit(
                RankParked(parting.rank, step, parting.reason, parting.samples_per_s, parting.gain)
            )
        known.parked.add(parting.rank)
    training.worker.progress.balance = known.to_dict()
    training.reporter.flush(step)
    leaving = {parting.rank for parting in partings}
    if training.rank in leaving:
        _give_up(training, group, known, leaving)


def _give_up(training: Training, group: Group, known: Knowledge, leaving: set[int]) -> None:
    """Its state gets old, and whoever comes back takes a fresh one."""
    ranks = [m.rank for m in group.generation.members if m.rank not in leaving]
    training.aside = Aside(
        own=known.speeds[training.rank],
        others=tuple(known.speeds[r] for r in ranks if r in known.speeds),
        total=training.job.train.global_batch,
        exchange_s=known.exchange_s,
    )
    training.worker.has_state = False


def await_work(training: Training) -> Generation | None:
    """The next generation with this rank in it; None where the run ends before."""
    if training.aside is not None:
        training.link.stand_aside()
    while training.aside is not None:
        try:
            generation = training.link.await_form(-1, patience_s=PROBE_S)
        except TimeoutError:
            _look(training, training.aside)
        else:
            training.profiled[training.rank] = training.aside.own
            training.aside = None
            return generation
    return training.link.await_form(training.worker.step)


def _look(training: Training, aside: Aside) -> None:
    """Measure anew, with few samples, and ask to come back where that pays."""
    size = training.cutting(len(aside.others) + 1).size
    for _ in range(PROBES if training.rehearses else 0):
        samples = max(1, min(int(PROBE_TAKES_S / aside.own.per_sample_s), aside.total))
        taken_s = rehearse(training.worker, training.data.train, samples, size)
        if not shares.departs(aside.own, samples, taken_s):
            break
        aside.own = shares.fit(aside.own, [(samples, taken_s)])
    aside.waited_s += PROBE_S
    if aside.has_use():
        aside.waited_s = 0.0
        training.link.return_to_work()
