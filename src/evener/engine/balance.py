"""Who takes how much of each batch: measured speeds in, shares out, the same on every rank.

Each step's control sum carries every rank's own compute time and sample count, so all ranks see
the same numbers without another message and reach the same shares by the same pure function.
A change is announced ahead by as many steps as data may already have been drawn for.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from evener import shares
from evener.config import schema
from evener.engine.knowledge import Knowledge
from evener.engine.probing import Probing
from evener.shares import Bounds, Speed

REMEMBERED_WINDOWS = 12
WINDOW_S = 2.0  # a window also lasts this long: steps of milliseconds are mostly noise
FIRST_STEPS = 2  # of the first window: what was rehearsed is only nearly right
SETTLE_STEPS = 2  # after a change the first steps are not typical: caches, allocator
REGIME_STEPS, REGIME_S = 3, 0.5  # in a row, and for so long: then a window is over at once


@dataclass(frozen=True, slots=True)
class Change:
    """From `step` on the ranks take `shares`, in the order of the group."""

    step: int
    shares: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """What all ranks know of a step, by rank: seconds of own work, samples, seconds of exchange
    (waiting included: who came last waited for nobody)."""

    seconds: tuple[float, ...]
    samples: tuple[float, ...]
    exchange: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """What a window came to: the ranks' fitted speeds, what they do by themselves at their shares
    (samples per second), and what the best shares would come to. `seconds` they computed: as all
    ranks know it, for no two clocks agree."""

    speeds: tuple[Speed, ...]
    shares: tuple[int, ...]
    alone: float
    possible: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Limit:
    """Which part of the batch a rank may take, and in multiples of how many samples."""

    least: float = 0.0
    most: float = 1.0
    quantum: int = 1


@dataclass(slots=True)
class Window:
    """The steps since the last look."""

    own: dict[int, list[tuple[float, float]]] = field(default_factory=dict)  # (samples, seconds)
    exchange: list[float] = field(default_factory=list)
    steps: int = 0
    seconds: float = 0.0

    def add(self, ranks: Sequence[int], measured: Measured) -> None:
        for rank, time_s, n in zip(ranks, measured.seconds, measured.samples, strict=True):
            if n > 0:
                self.own.setdefault(rank, []).append((n, time_s))
        self.exchange.append(min(measured.exchange, default=0.0))
        self.steps += 1
        self.seconds += max(measured.seconds)

    def only_last(self, steps: int) -> None:
        """A machine is another one since then: what was before says nothing."""
        self.own = {rank: pairs[-steps:] for rank, pairs in self.own.items()}

    def typical(self) -> Iterator[tuple[int, int, float]]:
        """By rank: samples and seconds of its median step."""
        for rank, pairs in self.own.items():
            samples = max(1, round(statistics.median(n for n, _ in pairs)))
            yield rank, samples, statistics.median(t for _, t in pairs)

    @property
    def exchange_s(self) -> float:
        return statistics.median(self.exchange) if self.exchange else 0.0


@dataclass(slots=True)
class Balance:
    """The shares of one generation, and what is known of its ranks' speeds."""

    config: schema.Balance
    global_batch: int
    ahead: int  # requests that may have been drawn before their step
    ranks: tuple[int, ...]
    known: Knowledge = field(default_factory=Knowledge)
    limits: tuple[Limit, ...] = ()
    guesses: tuple[float, ...] = ()  # what ranks may be able to do, where none can rehearse
    current: tuple[int, ...] = ()
    pending: Change | None = None
    look: Look | None = None  # the last one
    _probing: Probing | None = None
    _window: Window = field(default_factory=Window)
    _windows: dict[int, list[tuple[int, float]]] = field(default_factory=dict)
    _bases: dict[int, Speed] = field(default_factory=dict)  # lines from before these windows
    _fitted: dict[int, Speed] = field(default_factory=dict)
    _astray: dict[int, int] = field(default_factory=dict)  # steps in a row off their prediction
    _looks: int = 0
    _quiet_until: int = 0

    def begin(self, step: int) -> None:
        """Shares at the start of a generation: equal, or guessed, until somebody is measured."""
        self._fitted = {r: s for r, s in self.known.speeds.items() if r in self.ranks}
        strangers = frozenset(self.ranks) - {*self._fitted}
        if self.guesses and strangers and self.config.measured:
            self._probing = Probing(strangers)
        self._quiet_until = step + SETTLE_STEPS
        if self.config.weights is not None:
            given = dict(enumerate(self.config.weights))
            weights = [given.get(r, 1.0) for r in self.ranks]
            # those that are left may all have weight 0: somebody must go on
            self.current = shares.split(
                weights if any(weights) else [1.0] * len(weights), self.global_batch
            )
        elif self.config.policy == "equal" or not self._fitted:
            guesses = self.guesses if self._probing else ()
            cut = shares.split(guesses or [1.0] * len(self.ranks), self.global_batch)
            self.current = _nobody_idle(cut) if guesses else cut
        else:
            self.current = shares.solve(self._speeds(), self.global_batch, self._bounds())

    def at(self, step: int) -> tuple[int, ...]:
        """The shares in force for `step`, which may lie up to `ahead` steps in the future."""
        if self.pending is not None and step >= self.pending.step:
            return self.pending.shares
        return self.current

    def predicted_s(self, index: int, samples: int) -> float:
        """What the own work of a rank is to take; 0 while nothing is known of it."""
        speed = self._fitted.get(self.ranks[index])
        return speed.time_s(samples) if speed else 0.0

    def observe(self, step: int, measured: Measured) -> Change | None:
        """Take in what every rank measured in `step`; returns a change newly decided."""
        self.look = None
        if self.pending is not None and step + 1 >= self.pending.step:
            self.current, self.pending = self.pending.shares, None
            self._window = Window()
            self._quiet_until = step + 1 + SETTLE_STEPS
        if self.pending:
            return None
        if self._probing is not None:
            return self._probe(self._probing, step, measured)
        if step < self._quiet_until:
            return None
        self._window.add(self.ranks, measured)
        if self._strayed(measured):
            self._window.only_last(REGIME_STEPS)
        elif not self._window_full():
            return None
        return self._decide(step)

    def _probe(self, probing: Probing, step: int, measured: Measured) -> Change | None:
        """Cut the next step by this one."""
        taken = list(zip(self.ranks, measured.seconds, measured.samples, strict=True))
        self._fitted |= probing.take(taken)
        self.known.speeds.update(self._fitted)
        alone = math.fsum(n / time_s for _, time_s, n in taken if time_s > 0)
        change = self._cut(step, alone, max(measured.seconds))
        if probing.left == 0:
            self._probing, self._quiet_until = None, step + 1 + SETTLE_STEPS
        return change

    # --------------------------------------------------------------------------- a window

    def _window_full(self) -> bool:
        """The first ones are short: what the beginning was based on was only nearly right."""
        steps = min(self.config.window, FIRST_STEPS << min(self._looks, 16))
        enough_s = WINDOW_S * steps / self.config.window
        return self._window.steps >= steps and self._window.seconds >= enough_s

    def _strayed(self, measured: Measured) -> bool:
        """Whether a rank is faster or slower than its line for so many steps that no noise is."""
        taken = list(zip(self.ranks, map(int, measured.samples), measured.seconds, strict=True))
        level = self._level(taken)
        for rank, n, time_s in taken:
            speed = self._fitted.get(rank)
            usual_s = level * speed.time_s(n) if speed else 0.0
            off = speed is not None and n > 0 and shares.departs(_at(speed, level), n, time_s)
            way = 0 if not off else (1 if time_s > usual_s else -1)
            before = self._astray.get(rank, 0)
            self._astray[rank] = way + (before if before * way > 0 else 0)
        steps = max((abs(n) for n in self._astray.values()), default=0)
        return steps >= REGIME_STEPS and steps * max(measured.seconds) >= REGIME_S

    def _decide(self, step: int) -> Change | None:
        """The end of a window: fit each rank's speed to its medians, and see if a cut pays."""
        alone = self._fit()
        self._looks += 1
        self._astray.clear()
        if self.config.policy in ("adaptive", "dynamic"):
            self.known.speeds.update(self._fitted)
            self.known.exchange_s = self._window.exchange_s
        window, self._window = self._window, Window()
        return self._cut(step, alone, window.seconds)

    def _cut(self, step: int, alone: float, seconds: float) -> Change | None:
        """See if other shares pay, by the lines as they are known now."""
        if any(rank not in self._fitted for rank in self.ranks):
            return None
        speeds = self._speeds()
        possible = self.global_batch / shares.step_time(speeds, self._best())
        self.look = Look(tuple(speeds), self.current, alone, possible, seconds)
        wanted = self._wanted(speeds)
        if wanted == self.current:
            return None
        self.pending = Change(step + 1 + self.ahead, wanted)
        return self.pending

    def _level(self, taken: Iterable[tuple[int, int, float]]) -> float:
        """How much longer all ranks take than their lines say: what they have in common (they may
        be parts of one machine) moves no share. By rank, samples and seconds."""
        parts = [
            time_s / self._fitted[rank].time_s(samples)
            for rank, samples, time_s in taken
            if rank in self._fitted and samples > 0 and time_s > 0
        ]
        return statistics.median_low(parts) if parts else 1.0

    def _fit(self) -> float:
        """Every rank's line anew; returns the sum of what they do by themselves."""
        alone, typical = 0.0, list(self._window.typical())
        level = self._level(typical)
        for rank, samples, time_s in typical:
            alone += samples / time_s if time_s > 0 else 0.0
            unknown = Speed(0.0, max(time_s, 1e-9) / samples)
            previous = _at(self._fitted[rank], level) if rank in self._fitted else unknown
            history = [(n, t * level) for n, t in self._windows.get(rank, ())]
            if shares.departs(previous, samples, time_s):
                history.clear()  # another regime: what was measured before no longer holds
            self._bases[rank] = _at(self._bases[rank], level) if history else previous
            self._windows[rank] = [*history, (samples, time_s)][-REMEMBERED_WINDOWS:]
            # Drawn to the line as it was last, the fit would take these windows in again and
            # again, and wander off with their noise.
            self._fitted[rank] = shares.fit(self._bases[rank], self._windows[rank])
        return alone

    # ----------------------------------------------------------------------------- shares

    def _wanted(self, speeds: Sequence[Speed]) -> tuple[int, ...]:
        settled = () if self._probing else ("static",)
        if len(self.ranks) == 1 or self.config.policy in (*settled, "equal", "fixed"):
            return self.current
        if self.config.policy == "dynamic":  # as if nothing were fixed: what others do
            rates = [
                n / s.time_s(n) if n else 0.0 for n, s in zip(self.current, speeds, strict=True)
            ]
            return _nobody_idle(shares.split(rates, self.global_batch))
        gain = self.config.min_gain
        return shares.revise(self.current, speeds, self.global_batch, gain, self._bounds())

    def _best(self) -> tuple[int, ...]:
        return shares.solve(self._speeds(), self.global_batch, self._bounds())

    def _speeds(self) -> list[Speed]:
        """By rank; of whom nothing is known, the mean of the others."""
        known = [self._fitted[r] for r in self.ranks if r in self._fitted]
        typical = Speed(
            statistics.fmean(s.fixed_s for s in known),
            statistics.fmean(s.per_sample_s for s in known),
        )
        return [self._fitted.get(r, typical) for r in self.ranks]

    def _bounds(self) -> list[Bounds]:
        """One sample at least: a rank without any is never measured again. Bounds that so many
        ranks cannot keep (some have left) are let go: the batch is what the user fixed."""
        count, total = len(self.ranks), self.global_batch
        limits = self.limits or (Limit(),) * count
        least = [max(1, math.ceil(limit.least * total)) for limit in limits]
        if sum(least) > total:
            least = [min(1, total // count)] * count
        most = [
            max(floor, math.floor(x.most * total)) for x, floor in zip(limits, least, strict=True)
        ]
        loose = sum(most) < total
        return [
            Bounds(floor, None if loose else top, limit.quantum)
            for floor, top, limit in zip(least, most, limits, strict=True)
        ]


def _at(speed: Speed, level: float) -> Speed:
    """The same rank where everything takes `level` times as long."""
    return Speed(speed.fixed_s * level, speed.per_sample_s * level)


def _nobody_idle(cut: tuple[int, ...]) -> tuple[int, ...]:
    """A rank without samples is never measured again: it gets one of whoever has most."""
    given = list(cut)
    for index, share in enumerate(cut):
        largest = max(range(len(given)), key=lambda i: given[i])
        if share == 0 and given[largest] > 1:
            given[largest] -= 1
            given[index] += 1
    return tuple(given)
