"""The words of membership: ballots, members and generations."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Ballot:
    """The number of one attempt to form a generation. Ordered; no two leaders share one."""

    number: int
    agent: str

    def __str__(self) -> str:
        return f"{self.number}.{self.agent}"


@dataclass(frozen=True, slots=True)
class Member:
    """One rank process: `rank` is its number in the run, `life` how often that rank was born.

    An agent that starts again counts lives from the beginning; the port tells its ranks apart.
    """

    agent: str
    rank: int
    life: int
    host: str  # where its process answers: the store of a generation lives with its source
    port: int


@dataclass(frozen=True, slots=True)
class Generation:
    """Who computes together from `step` on.

    `step` is the last committed step, -1 where nobody has state yet; `source` is the member
    (an index) whose state at `step` the others take if theirs is older. Who is `parked` was ready
    too, and stands aside.
    """

    ballot: Ballot
    members: tuple[Member, ...]
    step: int
    source: int
    parked: tuple[Member, ...] = ()

    @property
    def agents(self) -> tuple[str, ...]:
        return tuple(sorted({m.agent for m in self.members}))

    @property
    def ranks(self) -> tuple[int, ...]:
        return tuple(m.rank for m in self.members)

    def lacks(self, before: Generation) -> bool:
        """Whether a rank of `before` is gone: neither replaced, nor only parked."""
        here = {m.rank for m in (*self.members, *self.parked)}
        return any(m.rank not in here for m in before.members)
