"""How many samples at once a rank is asked to pass: doubled until more at once are no faster."""

from __future__ import annotations

from dataclasses import dataclass, field

from evener import shares
from evener.shares import Speed

LEAST_GAIN = 0.05  # in samples a second, over what was fastest before
PATIENCE = 2  # sizes in a row without it: one may have met a busy neighbour


@dataclass(slots=True)
class Search:
    """Of one rank: `take` what a size took, until `over` says why there is no larger one.

    Up to `fair` it goes in any case: a line says little about sizes far from its points.
    """

    most: int  # samples that a rank can ever be given
    fair: int = 1  # an even share of them
    points: list[tuple[int, float]] = field(default_factory=list)
    over: str = ""

    @property
    def size(self) -> int:
        """The next one; once it is over, the one to go on with."""
        if self.over:
            return self.best
        return min(2 * self.points[-1][0], self.most) if self.points else 1

    @property
    def expected_s(self) -> float:
        """What the next size takes at most; 0 where nothing is known."""
        return 2 * self.points[-1][1] if self.points else 0.0

    @property
    def best(self) -> int:
        """The smallest size that is about as fast as the fastest."""
        fastest = max((n / t for n, t in self.points), default=0.0)
        near = [n for n, t in self.points if n / t >= fastest / (1 + LEAST_GAIN)]
        return min(near, default=1)

    def take(self, seconds: float) -> None:
        self.points.append((self.size, max(seconds, 1e-9)))
        sizes = [n for n, _ in self.points]
        unmoved = len(sizes) - 1 - sizes.index(self.best) >= PATIENCE
        if unmoved and sizes[-1] >= self.fair:
            self.over = "more samples at once are no faster"
        elif sizes[-1] >= self.most:
            self.over = "that is the whole batch"

    def give_up(self, why: str) -> None:
        self.over = self.over or why

    @property
    def speed(self) -> Speed:
        """The line through the points, the larger ones counting more."""
        size, took_s = self.points[-1]
        return shares.fit(Speed(0.0, took_s / size), self.points)
