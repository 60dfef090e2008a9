"""Ranks that are parked at random moments and come back at others, beside all other bad luck.

It draws its own lots, so that a history without it is the same as ever.
"""

from __future__ import annotations

import random

from tests.membership.actors import Rank
from tests.membership.world import FAULTS_END_S, World


class Parking:
    """What a run's ranks decide about one another, and how it reaches them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.random = random.Random(f"parking {world.seed}")

    def begin(self) -> None:
        for _ in range(self.random.choice((1, 2, 4, 8, 16))):
            do = self.random.choice((self.park, self.park, self.park, self.come_back, self.recall))
            self.world.later(self.random.uniform(0.5, FAULTS_END_S - 0.3), None, do)

    def heal(self) -> None:
        """Some stay parked, and the others go on without them."""
        for rank in self.parked():
            if self.random.random() < 0.5:
                self.world.later(0.0, rank, rank.come_back)

    def park(self) -> None:
        """A group agrees to go on without some of it: mostly one, at times all but one, or all."""
        groups = [r.group for r in self.ranks() if r.mode == "training" and r.group is not None]
        undecided = [g for g in groups if not g.parting]
        if not undecided:
            return
        group = self.random.choice(undecided)
        members = list(group.generation.members)
        self.random.shuffle(members)
        most = self.random.choice((1, 1, 1, 2, len(members) - 1, len(members)))
        group.parting = frozenset(members[: max(most, 1)])

    def come_back(self) -> None:
        """A rank finds that it is faster than it was."""
        parked = self.parked()
        if parked:
            rank = self.random.choice(parked)
            self.world.later(0.0, rank, rank.come_back)

    def recall(self) -> None:
        """The others want some back: whoever hears of it lets them."""
        numbers = {r.member.rank for r in self.parked() if self.random.random() < 0.7}
        for agent in list(self.world.agents.values()):
            if self.random.random() < 0.8:
                self.world.later(0.02 * self.random.random(), agent, agent.recall, (numbers,))

    def parked(self) -> list[Rank]:
        return [r for r in self.ranks() if r.parked]

    def ranks(self) -> list[Rank]:
        return [r for a in self.world.agents.values() for r in a.ranks.values()]
