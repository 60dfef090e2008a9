"""What is usual for a rank: learnt from its first reports, so that "slower" means something.

It is learnt and then left alone: a reference that followed would follow a slow decline too, and
the best of thousands of reports would be a fluke that no report comes up to again.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from evener import shares
from evener.engine import signs
from evener.engine.signs import Signs
from evener.events import RankTimed
from evener.shares import Speed

ENOUGH, SETTLED = 4, 20  # reports: before anything is expected, until learning ends
NEAR = 1.25  # shares that differ by this factor at most tell of each other
REMEMBERED = 30


@dataclass(slots=True)
class Usual:
    """Of one rank in one generation: its speed, its exchange, and its signs when it was well."""

    _line: Speed | None = None  # known beforehand, from where fixed cost and slope were measured
    _speed: Speed | None = None
    _seen: list[tuple[int, float]] = field(default_factory=list)  # (share, own seconds)
    _exchanges: list[tuple[float, float]] = field(default_factory=list)  # (exchange, waiting)
    _signs: list[Signs] = field(default_factory=list)

    def learn(self, timed: RankTimed, found: Signs) -> None:
        """A report of the rank in good health."""
        if len(self._seen) >= SETTLED and self._knows(timed.share):
            return
        share, own = timed.share, signs.own_s(timed)
        self._seen.append((share, own))
        self._exchanges.append((timed.exchange_s, timed.wait_s))
        self._signs.append(found)
        for kept in (self._seen, self._exchanges, self._signs):
            del kept[:-REMEMBERED]
        previous = self._speed or self._line or Speed(0.0, own / share)
        self._speed = shares.fit(previous, self._seen)

    @property
    def known(self) -> bool:
        return len(self._seen) >= ENOUGH

    @property
    def signs(self) -> Signs:
        return signs.typical(self._signs)

    @property
    def exchange_s(self) -> float:
        return statistics.median(exchange_s for exchange_s, _ in self._exchanges)

    @property
    def wait_s(self) -> float:
        return statistics.median(wait_s for _, wait_s in self._exchanges)

    def expected_s(self, share: int, in_doubt: bool) -> float:
        """What `share` samples should take: the fitted line, where shares near it were seen.

        Elsewhere nobody knows how much of a step is fixed cost. The benefit of the doubt is the
        slowest line there can be, unless the rank is suspected already: then the smaller share
        may well be what its slowness brought it.
        """
        assert self._speed is not None
        if in_doubt or self._knows(share):
            return self._speed.time_s(share)
        nearest = min((n for n, _ in self._seen), key=lambda n: abs(n - share))
        return self._speed.time_s(nearest) * max(1.0, share / nearest)

    def _knows(self, share: int) -> bool:
        near = any(n / NEAR <= share <= n * NEAR for n, _ in self._seen)
        return near or self._line is not None
