"""Whether a rank gets on: it beats as it works, and rests while it waits for others or for a disk.

The training thread alone moves it; the line to the agent reads it. What does neither hangs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Pulse:
    """One for the life of a rank's process."""

    def __init__(self) -> None:
        self.beats = 0
        self._rests = 0

    @property
    def resting(self) -> bool:
        return self._rests > 0

    def beat(self) -> None:
        self.beats += 1

    @contextmanager
    def rest(self) -> Iterator[None]:
        """For as long as this lasts, nobody wonders how long it takes."""
        self._rests += 1
        try:
            yield
        finally:
            self._rests -= 1
            self.beats += 1
