"""Who trains and who stands aside: a rank that adds next to nothing is parked, and taken back
when that changes. Pure, and the same on every rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from evener import shares
from evener.engine.knowledge import Knowledge
from evener.shares import Speed

LEAST_GAIN = 0.02  # of the run's speed: below it a rank costs more trouble than it is worth
WELCOME_GAIN = 0.04  # to be taken back, lest a rank comes and goes
HOPELESS_GAIN, HOPELESS_RATIO = 0.015, 20  # parked before the first step, on a rehearsal's word
LOOKS, PATIENCE_S = 2, 5.0  # in a row, and so long after the start: a decision, not a mood


@dataclass(frozen=True, slots=True)
class Parting:
    """One rank that is better off beside the group, and why."""

    rank: int
    reason: str
    samples_per_s: float
    gain: float


@dataclass(slots=True)
class Muster:
    """The judgement of one generation."""

    total: int  # samples of a step
    ranks: tuple[int, ...]
    known: Knowledge
    _doubts: dict[int, int] = field(default_factory=dict)
    _seconds: float = 0.0

    def at_start(self) -> list[Parting]:
        """Who is hopeless by what is known before the first step."""
        if any(r not in self.known.speeds for r in self.ranks) or len(self.ranks) == 1:
            return []
        speeds = [self.known.speeds[r] for r in self.ranks]
        fastest_s = min(s.time_s(self.total) for s in speeds)
        useful = shares.team(speeds, self.total, LEAST_GAIN)
        return [
            self._parting(index, speeds)
            for index, speed in enumerate(speeds)
            if not useful[index]
            and speed.time_s(self.total) > HOPELESS_RATIO * fastest_s
            and shares.gain(speeds, self.total, index) < HOPELESS_GAIN
        ]

    def judge(self, speeds: Sequence[Speed], seconds: float) -> list[Parting]:
        """Who parks now. `seconds` have passed since the last look."""
        self._seconds += seconds
        useful = shares.team(speeds, self.total, LEAST_GAIN, self.known.exchange_s)
        for rank, helps in zip(self.ranks, useful, strict=True):
            self._doubts[rank] = 0 if helps else self._doubts.get(rank, 0) + 1
        if self._seconds < PATIENCE_S:
            return []
        sure = [i for i, rank in enumerate(self.ranks) if self._doubts[rank] >= LOOKS]
        return [self._parting(index, speeds) for index in sure]

    def recalls(self, speeds: Sequence[Speed]) -> tuple[int, ...]:
        """Parked ranks that would help by now, because the others are not what they were."""
        absent = {r: s for r, s in self.known.speeds.items() if r in self.known.parked}
        exchange_s = self.known.exchange_s
        return tuple(
            rank
            for rank, speed in sorted(absent.items())
            if rank not in self.ranks and helps(speed, speeds, self.total, exchange_s)
        )

    def _parting(self, index: int, speeds: Sequence[Speed]) -> Parting:
        speed, exchange_s = speeds[index], self.known.exchange_s
        gain = shares.gain(speeds, self.total, index, exchange_s)
        fastest = min(speeds, key=lambda s: s.time_s(self.total))
        own, best = speed.time_s(self.total), fastest.time_s(self.total)
        reason = (
            f"it would change the speed of the others by {gain * 100:+.1f} %: the batch would "
            f"take it {own:.3g} s alone, the fastest {best:.3g} s"
        )
        if exchange_s > 0.1 * best:
            reason += f", and the exchange of gradients takes {exchange_s:.3g} s"
        return Parting(self.ranks[index], reason, self.total / own, gain)


def helps(own: Speed, others: Sequence[Speed], total: int, exchange_s: float = 0.0) -> bool:
    """Whether a rank beside the group would be worth having again."""
    everyone = [own, *others]
    useful = shares.team(everyone, total, LEAST_GAIN, exchange_s)
    return useful[0] and shares.gain(everyone, total, 0, exchange_s) >= min(
        WELCOME_GAIN, 0.5 / len(everyone)
    )
