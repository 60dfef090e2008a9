"""Whether a rank gets on, by what it says of its pulse and by the agent's clock."""

from __future__ import annotations

from dataclasses import dataclass

TIMES = 10  # as long as the longest time between two beats
UNSTEPPED_S = 300.0  # before the first step nobody knows how long one takes
ASLEEP_S = 2.0  # between two looks: no time that a rank could have used


class AwakeClock:
    """Stands still while this machine, or this process, does."""

    def __init__(self, now: float) -> None:
        self._looked_s, self._slept_s = now, 0.0

    def tick(self, now: float) -> float:
        """To be called many times a second."""
        passed_s = now - self._looked_s
        self._looked_s = now
        self._slept_s += passed_s if passed_s > ASLEEP_S else 0.0
        return self.at(now)

    def at(self, now: float) -> float:
        return now - self._slept_s


@dataclass(slots=True)
class Heart:
    """Of one rank, since its group stood."""

    moved_s: float = 0.0  # when it was last known to work or to rest
    longest_s: float | None = None  # between two beats
    _beats: int = -1

    def begin(self, now: float) -> None:
        self.moved_s, self._beats = now, -1

    def heard(self, beats: int, resting: bool, now: float) -> None:
        beaten = beats - self._beats
        if beaten and self._beats >= 0:
            self.longest_s = max(self.longest_s or 0.0, (now - self.moved_s) / beaten)
        if beaten or resting:
            self.moved_s, self._beats = now, beats

    def patience_s(self, least_s: float) -> float:
        """How long without any sign of life is still no hang."""
        usual_s = UNSTEPPED_S if self.longest_s is None else TIMES * self.longest_s
        return max(least_s, usual_s)
