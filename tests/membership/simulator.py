"""Histories of bad luck for the membership machine, one for every seed.

Faults of all kinds fall for some seconds; then they stop, and all live ranks must come to train
together. The rules themselves are checked in `world`. Replay a seed, told in full, with

    python -m tests.membership.simulator SEED

and with `parking` after it where ranks are parked and come back besides, `continue` where a side of
any size goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Iterable

from evener.membership import words
from tests.membership.actors import Agent, Process
from tests.membership.parking import Parking
from tests.membership.world import FAULTS_END_S, Luck, World

PROGRESS_WITHIN_S = 25.0  # of the last fault
STEPS_AFTER = 3


class History:
    """What befalls one world."""

    def __init__(
        self,
        seed: int,
        trace: Callable[[str], None] | None = None,
        *,
        parking: bool = False,
        minority_waits: bool = True,
    ) -> None:
        self.world = World(seed, trace, minority_waits=minority_waits)
        self.random = self.world.random
        self.parking = Parking(self.world) if parking else None
        self.next_rank = 0
        self.faults = 0

    def run(self) -> float:
        """Seconds from the end of the faults until all train together again."""
        self.begin()
        self.world.run(FAULTS_END_S)
        self.heal()
        healed = self.world.run(FAULTS_END_S + PROGRESS_WITHIN_S, self.all_train)
        self.world.demand(healed, "no progress: {}", "" if healed else self.state())
        took_s = self.world.now - FAULTS_END_S
        if self.world.seed % 4 == 0:
            self.end()
        return took_s

    # ------------------------------------------------------------------------------ the run

    def begin(self) -> None:
        world, draw = self.world, self.random
        agents = draw.choice((1, 1, 2, 2, 2, 3, 3, 3, 4, 5))
        ids = [f"a{i:02}" for i in range(1, agents + 1)]
        counts = [draw.choice((1, 1, 1, 2, 2)) for _ in ids]
        world.planned_agents, world.planned_ranks = agents, sum(counts)
        world.luck = Luck(
            loss=draw.choice((0.0, 0.0, 0.02, 0.2)),
            doubling=draw.choice((0.0, 0.0, 0.1)),
            lateness=draw.choice((0.0, 0.0, 0.1)),
            ordered=draw.random() < 0.5,
        )
        for id, count in zip(ids, counts, strict=True):
            self.later(draw.choice((0.0, 0.3, 1.5)), self.join, id, count)
        self.faults = draw.choice((0, 1, 1, 2, 3, 5, 8))
        for _ in range(self.faults):
            self.later(draw.uniform(0.5, FAULTS_END_S - 0.5), self.strike)
            if draw.random() < 0.3:  # and another one while the first is being dealt with
                self.later(draw.uniform(0.5, FAULTS_END_S - 0.5), self.strike)

        if self.parking is not None:
            self.parking.begin()

    def later(self, delay_s: float, do: Callable[..., None], *args: object) -> None:
        self.world.later(delay_s, None, do, args)

    def join(self, id: str, count: int) -> None:
        first, self.next_rank = self.next_rank, self.next_rank + count
        self.world.add_agent(id, range(first, first + count), self.random.choice((0.05, 1.0)))

    def heal(self) -> None:
        """The faults end; what is dead is now known to be, by whoever had a line to it."""
        world = self.world
        world.cuts.clear()
        world.luck = Luck(0.0, 0.0, 0.0, world.luck.ordered)
        for agent in list(world.agents.values()):
            world.thaw(agent)
            for rank in list(agent.ranks.values()):
                world.thaw(rank)
        for gone in world.dead_agents:
            world.spread_evidence(gone)
        if not any(a.ranks or a.pending_ups for a in world.agents.values()):
            self.join("a99", 1)
        if self.parking is not None:
            self.parking.heal()

    def all_train(self) -> bool:
        """Whether one group of all live ranks has taken some steps since the faults ended.

        Some may be parked, but never all of them.
        """
        world = self.world
        if any(a.pending_ups for a in world.agents.values()):
            return False
        everybody = [r for a in world.agents.values() for r in a.ranks.values()]
        ranks = [r for r in everybody if not r.parked or not r.agent.parks(r)]
        groups = {r.group for r in ranks}
        if len(groups) != 1 or None in groups:
            return False
        group = groups.pop()
        assert group is not None
        if group.broken or len(group.members) != len(ranks):
            return False
        return group.steps >= STEPS_AFTER * len(ranks)

    def state(self) -> str:
        return "; ".join(
            f"{a.id} promised {a.machine.promised} current "
            f"{a.machine.current and a.machine.current.ballot} leader {a.machine.leader} ranks "
            + ",".join(
                f"{r.member.rank}:{'parked' if r.parked else r.mode}@{r.step}"
                for r in a.ranks.values()
            )
            for a in self.world.agents.values()
        )

    def end(self) -> None:
        """One rank says that the run is over: everybody learns it, and nothing forms any more."""
        world = self.world
        self.random.choice(list(world.agents.values())).take(words.RunDone())
        known = world.run(
            world.now + 2.0, lambda: all(a.machine.done for a in world.agents.values())
        )
        world.demand(known, "the end is not known to all")

    # --------------------------------------------------------------------------- the faults

    def strike(self) -> None:
        kinds = (
            self.kill_a_rank,
            self.kill_a_rank,
            self.kill_an_agent,
            self.kill_an_agent,
            self.freeze_a_machine,
            self.freeze_an_agent,
            self.freeze_a_rank,
            self.cut_a_link,
            self.cut_in_two,
            self.bring_an_agent,
            self.restart_an_agent,
            self.say_goodbye,
        )
        if self.world.agents:
            self.random.choice(kinds)()

    def agent(self) -> Agent:
        return self.random.choice(list(self.world.agents.values()))

    def kill_a_rank(self) -> None:
        ranks = list(self.agent().ranks.values())
        for rank in ranks if self.random.random() < 0.2 else ranks[:1]:
            self.world.kill_rank(rank, replace=self.random.random() < 0.8)

    def kill_an_agent(self) -> None:
        if len(self.world.agents) > 1:
            self.world.kill_agent(self.agent(), evidence=self.random.random() < 0.6)
            if self.random.random() < 0.5:
                self.bring_an_agent()

    def restart_an_agent(self) -> None:
        """Its process or its machine starts again: the same id and ranks, and no memory."""
        if len(self.world.agents) > 1:
            agent = self.agent()
            self.world.kill_agent(agent, evidence=self.random.random() < 0.5)
            self.later(self.random.choice((0.2, 1.0, 3.0)), self.start_again, agent)

    def start_again(self, agent: Agent) -> None:
        """The old lines end, unless the new process answers so soon that nobody noticed."""
        self.world.dead_agents.remove(agent.id)
        if self.random.random() < 0.7:
            self.world.spread_evidence(agent.id)
        self.world.add_agent(agent.id, agent.numbers, self.random.choice((0.05, 1.0)))

    def say_goodbye(self) -> None:
        if len(self.world.agents) > 1:
            agent = self.agent()
            for peer in self.world.agents:
                if peer != agent.id:
                    self.world.send(agent.id, peer, words.Goodbye(agent.id, False))
            self.world.kill_agent(agent, evidence=True)

    def freeze_a_machine(self) -> None:
        agent = self.agent()
        self.freeze([agent, *agent.ranks.values()])

    def freeze_an_agent(self) -> None:
        self.freeze([self.agent()])

    def freeze_a_rank(self) -> None:
        self.freeze(list(self.agent().ranks.values())[:1])

    def freeze(self, processes: Iterable[Process]) -> None:
        self.world.freeze(processes, self.random.choice((0.2, 1.0, 2.0, 5.0)))

    def cut_a_link(self) -> None:
        a, b = self.agent().id, self.agent().id
        both = self.random.random() < 0.7
        self.cut([(a, b), (b, a)] if both else [(a, b)])

    def cut_in_two(self) -> None:
        ids = list(self.world.agents)
        side = {i for i in ids if self.random.random() < 0.5}
        self.cut([(a, b) for a in ids for b in ids if (a in side) != (b in side)])

    def cut(self, pairs: Iterable[tuple[str, str]]) -> None:
        pairs = [(a, b) for a, b in pairs if a != b]
        self.world.cut(pairs, self.random.choice((0.3, 1.0, 3.0, 6.0)))

    def bring_an_agent(self) -> None:
        """A newcomer, with an id of its own: lower or higher than the others'."""
        number = self.random.choice((0, 9))
        taken = {*self.world.agents, *self.world.dead_agents}
        id = next(
            f"a{number}{c}" for c in "abcdefghijklmnopqrstuvwxyz" if f"a{number}{c}" not in taken
        )
        self.join(id, self.random.choice((0, 1, 1, 2)))


def replay(seed: int, modes: Container[str]) -> None:
    def tell(line: str) -> None:
        sys.stdout.write(line + "\n")

    waits = "continue" not in modes
    History(seed, tell, parking="parking" in modes, minority_waits=waits).run()


if __name__ == "__main__":
    replay(int(sys.argv[1]), sys.argv[2:])
