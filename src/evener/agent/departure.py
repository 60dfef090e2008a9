"""What an agent does that is told to leave. Decides only.

Its machine may go away and be back (an engine restarts), or for good (it is shut down, or asked
for by somebody else). One that goes alone leaves at once, for the others to go on without it.
Where all of a generation go, which is what happens when one machine has them all, they stop at a
boundary with a checkpoint first; then no step is lost.
"""

from __future__ import annotations

from collections.abc import Set
from enum import Enum

AWAY, GONE = "the run goes on when it is back", "it is not expected back"
TOGETHER_S = 2.0  # for an engine that stops its containers to have told all of them


class Move(Enum):
    WAIT = "nothing to do now"
    STOP = "all go: stop at a boundary, together"
    LEAVE = "leave the others to their work"


class Departure:
    """Of one agent, and what it has heard of the others'. Times are the agent's clock."""

    def __init__(self, me: str) -> None:
        self._me = me
        self._going: set[str] = set()
        self._leave_at = 0.0
        self.together = False  # all have been told to stop, and will be back
        self.returns = False

    def begin(self, now: float, *, returns: bool) -> str:
        """What the others are to know of its machine; nothing new the second time, which ends the
        waiting."""
        known, self.returns = self._me in self._going, returns
        self._going.add(self._me)
        self._leave_at = now if known else now + TOGETHER_S
        what = AWAY if returns else GONE
        return "" if known else f"goes away ({what})"

    def call_off(self) -> None:
        """The run ends: that comes first."""
        self._going.discard(self._me)
        self.together = False

    def goes(self, agent: str) -> None:
        self._going.add(agent)

    def returned(self, agent: str) -> None:
        self._going.discard(agent)

    def move(self, training: Set[str], now: float) -> Move:
        """What to do now, where the agents in `training` are of one generation."""
        if self._me not in self._going or self.together:
            return Move.WAIT
        if training <= self._going:
            self.together = self.returns
            return Move.STOP
        return Move.LEAVE if now >= self._leave_at else Move.WAIT
