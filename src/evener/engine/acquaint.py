"""Before the first step of a generation: how fast is whom nobody knows yet?

Who is new rehearses a few samples, then about as many as it will be given: a line through two
points far from the share to come says nothing about it. All hear the outcome of all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evener import shares
from evener.engine import memory
from evener.engine.balance import Limit
from evener.engine.knowledge import Knowledge
from evener.engine.rehearse import rehearse
from evener.engine.training import Training
from evener.rank import device as devices
from evener.rank.group import Group, gather
from evener.shares import Speed

FEW = 4
REPEATS = 2
ENOUGH_S = 0.5  # a rehearsal that took so long need not be repeated
QUANTUM = 8  # samples, on an accelerator


@dataclass(frozen=True, slots=True)
class Roll:
    """What the ranks of a group know of each other."""

    known: Knowledge
    limits: tuple[Limit, ...]
    guesses: tuple[float, ...]  # by what they are made of


def acquaint(training: Training, group: Group, known: Knowledge) -> Roll:
    """`known` with the speed of every rank in it, as far as the job's policy asks for them."""
    ranks = [m.rank for m in group.generation.members]
    rows = _tell_own(training, group, known, ranks)
    strangers = [r for r in ranks if r not in known.speeds]
    asked = training.rehearses and training.job.balance.measured
    if group.size > 1 and strangers and asked:
        _rehearse(training, group, known, ranks)
    known.parked -= {*ranks}
    limits = tuple(Limit(least, most, int(step)) for least, most, step, _ in rows)
    return Roll(known, limits, tuple(guess for *_, guess in rows))


def _tell_own(
    training: Training, group: Group, known: Knowledge, ranks: Sequence[int]
) -> list[tuple[float, ...]]:
    """What each rank alone knows of itself: a profile's word, or what it measured while parked;
    returns what it may take, and what it may be able to do."""
    own = training.profiled.pop(training.rank, None)
    line = (own.fixed_s, own.per_sample_s) if own else (0.0, 0.0)
    device = training.worker.device
    quantum = 1 if device.type == "cpu" else QUANTUM
    rows = gather(group, [*line, *training.part, quantum, devices.worth(device)])
    for rank, (fixed_s, per_sample_s, *_) in zip(ranks, rows, strict=True):
        if per_sample_s > 0:
            known.speeds[rank] = Speed(fixed_s, per_sample_s)
    return [tuple(rest) for _, _, *rest in rows]


def _rehearse(training: Training, group: Group, known: Knowledge, ranks: Sequence[int]) -> None:
    new = training.rank not in known.speeds
    total = training.job.train.global_batch
    few = max(1, min(FEW, total // len(ranks)))
    grown: dict[int, int] = {}  # memory, by samples at once
    first = _first(training, group, few, grown) if new else 0.0
    for rank, (time_s,) in zip(ranks, gather(group, [first]), strict=True):
        if time_s > 0:
            known.speeds[rank] = Speed(0.0, time_s / few)
    guessed = shares.solve([known.speeds[r] for r in ranks], total)
    share = max(guessed[group.index], 1)
    if new:
        memory.look_ahead(training, group, share, grown)
    second = _timed(training, group, share) if new and share > few else 0.0
    for index, (n, start_s, near_s) in enumerate(gather(group, [share, first, second])):
        if near_s > 0:
            known.speeds[ranks[index]] = shares.from_rehearsals((few, start_s), (int(n), near_s))


def _first(training: Training, group: Group, few: int, grown: dict[int, int]) -> float:
    """The very first rehearsal pays for much that later ones find done: it is not counted."""
    rehearse(training.worker, training.data.train, 1)
    grown[1] = memory.peak_bytes(training)
    taken_s = _timed(training, group, few)
    grown[few] = memory.peak_bytes(training)
    return taken_s


def _timed(training: Training, group: Group, samples: int) -> float:
    size = training.cutting(group.size).size

    def once() -> float:
        return rehearse(training.worker, training.data.train, samples, size)

    return _best(once)


def _best(once: Callable[[], float]) -> float:
    taken: list[float] = []
    while len(taken) < REPEATS and sum(taken) < ENOUGH_S:
        taken.append(once())
    return min(taken)
