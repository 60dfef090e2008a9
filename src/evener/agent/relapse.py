"""A rank that dies again and again soon after it has joined: what is done about it. Pure.

Each return halts the others, so it comes back a little later each time. After three quick deaths it
gets less to do, if it died for want of memory each time, or is left out for a while; at once, if it
has said itself why it cannot join. That is for runs that others keep going; where nobody does,
`membership.max_restarts` is the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

QUICK_S = 10.0  # in its group: who dies sooner most likely dies of the same cause again
TRIES = 3
BACK_OFF_S, BACK_OFF_MOST_S = 1.0, 30.0
OUT_S = 600.0  # until it is tried once more


class Sentence(Enum):
    AGAIN = "again"
    LESS = "less"
    OUT = "out"


@dataclass(slots=True)
class Relapse:
    """Of one rank's number, in all its lives. Times are the agent's clock."""

    quick: int = 0  # deaths in a row
    cause: str = ""  # of the first of them
    for_memory: bool = True  # all of them
    rests_until: float = 0.0
    out: bool = False
    unfit: str = ""  # why no process of it can join the others, by its own word

    def died(self, trained_s: float, cause: str, for_memory: bool, now: float) -> None:
        if trained_s >= QUICK_S:
            self.forgive()
            return
        self.cause = self.cause or cause
        self.for_memory = self.for_memory and for_memory
        self.quick += 1
        wait_s = BACK_OFF_S * 2 ** (self.quick - 2) if self.quick > 1 else 0.0
        self.rests_until = now + min(wait_s, BACK_OFF_MOST_S)

    def forgive(self) -> None:
        """What comes is counted anew."""
        self.quick, self.cause, self.for_memory = 0, "", True
        self.rests_until, self.out, self.unfit = 0.0, False, ""

    def sentence(self, *, may_have_less: bool, may_be_out: bool) -> Sentence:
        if self.unfit and may_be_out:
            return Sentence.OUT
        if self.quick < TRIES:
            return Sentence.AGAIN
        if self.for_memory and may_have_less:
            return Sentence.LESS
        return Sentence.OUT if may_be_out else Sentence.AGAIN

    def leave_out(self, now: float) -> None:
        self.rests_until, self.out = now + OUT_S, True

    def rests(self, now: float, alone: bool) -> bool:
        """Whether its next process is to wait. Nobody is left out while nobody else is there."""
        if self.out and alone:
            self.out, self.rests_until = False, now
        return now < self.rests_until

    @property
    def story(self) -> str:
        if self.unfit:
            return self.unfit
        return f"it died {self.quick} times soon after it had joined, the first time: {self.cause}"
