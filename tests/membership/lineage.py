"""Which generation came out of which, and whether two of them may take steps at the same time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from evener.membership.generation import Generation


class Lineage:
    """All generations of one history, as an observer sees them who sees everything.

    Two that train at the same time waste work, and the protocol allows it where it must:

    - of two agents (all others being dead) that lost sight of each other both go on;
    - of the one agent left of a generation, and all others, the same;
    - agents that never met, or met and never trained, may begin apart once the start has waited
      long enough;
    - a smaller side may go on once it hears that another agent has died, which had agreed to a
      generation of others meanwhile;
    - who agreed to stand by, left out or parked, and is cut off before it hears of the decision,
      may go on with others;
    - where all of a generation are dead, those who are left restore a checkpoint;
    - where a minority does not wait, any side goes on.
    """

    def __init__(self, may_begin_apart: bool, minority_waits: bool) -> None:
        self._may_begin_apart = may_begin_apart
        self._minority_waits = minority_waits
        self._decided_at: dict[Generation, float] = {}
        self._deaths: list[tuple[str, float]] = []
        self._ancestors: dict[Generation, tuple[Generation, ...]] = {}
        self._steppers: list[Generation] = []
        self._stood_by: dict[Generation, frozenset[str]] = {}

    def decided(self, generation: Generation, now: float) -> float:
        """Returns when it first was."""
        return self._decided_at.setdefault(generation, now)

    def stood_by(self, generation: Generation, agents: Iterable[str]) -> None:
        """Who was ready for it and is not in it: left out, or with parked ranks alone."""
        self._stood_by[generation] = frozenset(agents)

    def died(self, agent: str, now: float) -> None:
        self._deaths.append((agent, now))

    def levelled(
        self, generation: Generation, source_ancestors: tuple[Generation, ...]
    ) -> tuple[Generation, ...]:
        """Its state is now the source's; returns the ancestors of what comes out of it."""
        self._ancestors[generation] = source_ancestors
        return (*source_ancestors, generation)

    def stepped(self, generation: Generation) -> Generation | None:
        """One that has trained since this one last did, and must not have."""
        if self._steppers and self._steppers[-1] is generation:
            return None
        between: list[Generation] = []
        if generation in self._steppers:
            between = self._steppers[self._steppers.index(generation) + 1 :]
        self._steppers.append(generation)
        others = (g for g in between if g != generation and not self._excused(generation, g))
        return next(others, None)

    def _excused(self, one: Generation, other: Generation) -> bool:
        line, others = ((*self._ancestors[g], g) for g in (one, other))
        if not self._minority_waits or self._were_two(one, other):
            return True
        if not {*line}.isdisjoint(others):
            return self._parted_fairly(line, others)
        apart = self._began_apart((line[0], one), (others[0], other))
        if self._may_begin_apart or self._left_to_one(line, others) or apart:
            return True
        line, others = self._with_given_up(line), self._with_given_up(others)
        return not {*line}.isdisjoint(others) and self._parted_fairly(line, others)

    def _with_given_up(self, line: tuple[Generation, ...]) -> tuple[Generation, ...]:
        """With what was before the state that it began from: who parked, and found nobody else who
        stands, has restored a checkpoint."""
        root = line[0]
        at = self._decided_at[root]
        kin = (g for g in self._ancestors if not {*g.agents}.isdisjoint(root.agents))
        before = [g for g in kin if self._decided_at[g] < at]
        if root.step >= 0 or not before:
            return line
        last = max(before, key=self._decided_at.__getitem__)
        return self._with_given_up((*self._ancestors[last], last, *line))

    def _parted_fairly(self, line: tuple[Generation, ...], others: tuple[Generation, ...]) -> bool:
        """Two that come of one."""
        fork = [g for g in line if g in others][-1]
        lines = [(*rest[rest.index(fork) + 1 :], fork) for rest in (line, others)]
        if self._left_to_one(*lines):
            return True
        children = [rest[0] for rest in lines]
        if self._lent_a_voice(*children) or self._lent_a_voice(*reversed(children)):
            return True
        first, second = sorted(self._decided_at[g] for g in children)
        return len(self._living(fork, second)) <= 2 or self._died_between(fork, first, second)

    def _lent_a_voice(self, one: Generation, other: Generation) -> bool:
        """Whether somebody whose voice was counted for the one is in the other."""
        return not self._stood_by.get(one, frozenset()).isdisjoint(other.agents)

    def _began_apart(
        self, one: tuple[Generation, Generation], other: tuple[Generation, Generation]
    ) -> bool:
        """The same, where nothing was trained before they parted; of each: its first, and it."""
        if self._were_two(one[0], other[1]) or self._were_two(one[1], other[0]):
            return True
        first, second = sorted(self._decided_at[g] for g in (one[0], other[0]))
        met = (g for g, at in self._decided_at.items() if at < first)
        return (
            any(self._died_between(g, first, second) for g in met)
            or self._restored(one[0])
            or self._restored(other[0])
        )

    def _died_between(self, fork: Generation, first: float, second: float) -> bool:
        return any(a in fork.agents and first <= when < second for a, when in self._deaths)

    def _restored(self, root: Generation) -> bool:
        at = self._decided_at[root]
        return any(t < at and not self._living(g, at) for g, t in self._decided_at.items())

    def _were_two(self, one: Generation, other: Generation) -> bool:
        """Whether they hold one each of a pair, which may not have got to train together."""
        # Who leads a generation agreed to it, also without a rank in it; so did who is parked.
        ones, others = ({*g.agents, g.ballot.agent} for g in (one, other))
        for agents, generation in ((ones, one), (others, other)):
            agents.update(m.agent for m in generation.parked)
        times = [self._decided_at[g] for g in (one, other)]
        pairs = (self._living(g, at) for g in self._decided_at for at in times)
        return any(
            len(p) == 2 and len(p & ones) == 1 == len(p & others) and p & ones != p & others
            for p in pairs
        )

    def _left_to_one(self, line: Sequence[Generation], others: Sequence[Generation]) -> bool:
        """Whether one began without the only agent that was left of a generation of the other."""
        for child, rest in ((line[0], others), (others[0], line)):
            at = self._decided_at[child]
            lefts = (self._living(g, at) for g in rest if self._decided_at[g] < at)
            if any(len(left) == 1 and left.isdisjoint(child.agents) for left in lefts):
                return True
        return self._parted_with_one(line[0], others[0])

    def _parted_with_one(self, one: Generation, other: Generation) -> bool:
        """The same, where that one gave up its state meanwhile and began anew as well."""
        at = min(self._decided_at[one], self._decided_at[other])
        before = [g for g, when in self._decided_at.items() if when < at]
        left = self._living(before[-1], at) if before else set()
        return len(left) == 1 and left.isdisjoint(one.agents) != left.isdisjoint(other.agents)

    def _living(self, generation: Generation, at: float) -> set[str]:
        """Its agents that have lived from its decision until then."""
        since = self._decided_at[generation]
        died = {a for a, when in self._deaths if since <= when < at}
        return {*generation.agents} - died
