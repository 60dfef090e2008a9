"""Which generation came out of which, and whether two of them may take steps at the same time."""

from __future__ import annotations

from evener.membership.generation import Ballot, Generation


class Lineage:
    """All generations of one history, as an observer sees them who sees everything.

    Two that train at the same time waste work, and the protocol allows it in two places only: of
    two agents (all others being dead) that lost sight of each other both go on, and agents that
    never met, or met and never trained, may begin apart once the start has waited long enough.
    """

    def __init__(self, may_begin_apart: bool) -> None:
        self._may_begin_apart = may_begin_apart
        self._generations: dict[Ballot, Generation] = {}
        self._decided_at: dict[Ballot, float] = {}
        self._deaths: list[tuple[str, float]] = []
        self._ancestors: dict[Ballot, tuple[Ballot, ...]] = {}
        self._steppers: list[Ballot] = []

    def decided(self, generation: Generation, now: float) -> bool:
        """Whether the ballot is that of no other generation."""
        self._decided_at.setdefault(generation.ballot, now)
        return self._generations.setdefault(generation.ballot, generation) == generation

    def died(self, agent: str, now: float) -> None:
        self._deaths.append((agent, now))

    def levelled(self, ballot: Ballot, source_ancestors: tuple[Ballot, ...]) -> tuple[Ballot, ...]:
        """The state of `ballot` is now its source's; returns the ancestors of what comes of it."""
        self._ancestors[ballot] = source_ancestors
        return (*source_ancestors, ballot)

    def stepped(self, ballot: Ballot) -> Ballot | None:
        """A generation that has trained since this one last did, and must not have."""
        if self._steppers and self._steppers[-1] == ballot:
            return None
        between: list[Ballot] = []
        if ballot in self._steppers:
            between = self._steppers[self._steppers.index(ballot) + 1 :]
        self._steppers.append(ballot)
        return next((b for b in between if b != ballot and not self._excused(ballot, b)), None)

    def _excused(self, one: Ballot, other: Ballot) -> bool:
        line, others = ((*self._ancestors[b], b) for b in (one, other))
        common = [b for b in line if b in others]
        if not common:
            return self._may_begin_apart or self._were_two(one, other)
        fork = common[-1]
        children = [(*rest[rest.index(fork) + 1 :], fork)[0] for rest in (line, others)]
        at = max(self._decided_at[b] for b in children)
        return len(self._living(self._generations[fork], at)) <= 2 or self._were_two(one, other)

    def _were_two(self, one: Ballot, other: Ballot) -> bool:
        """Whether they hold one each of a pair, which may not have got to train together."""
        ones, others = ({*self._generations[b].agents} for b in (one, other))
        at = max(self._decided_at[b] for b in (one, other))
        for generation in self._generations.values():
            pair = self._living(generation, at)
            if len(pair) == 2 and len(pair & ones) == 1 == len(pair & others):
                return pair & ones != pair & others
        return False

    def _living(self, generation: Generation, at: float) -> set[str]:
        """Its agents that have lived from its decision until then."""
        since = self._decided_at[generation.ballot]
        died = {a for a, when in self._deaths if since <= when < at}
        return {*generation.agents} - died
