"""A handful of real machines on a bench: messages and the clock move when the test says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from evener.membership import words
from evener.membership.generation import Ballot, Generation, Member
from evener.membership.machine import Membership

SETTINGS = words.Settings()


def member(agent: str, rank: int, life: int = 0) -> Member:
    return Member(agent, rank, life, "host", 4000 + rank)


class Bench:
    """Agents with their ranks. What a machine asks of its ranks is kept in `asked`."""

    def __init__(
        self, agents: str = "a", ranks: int = 1, settings: words.Settings = SETTINGS
    ) -> None:
        self.now = 0.0
        self.settings = settings
        self.expected = (len(agents), ranks)
        self.machines: dict[str, Membership] = {}
        self.post: list[tuple[str, words.Message]] = []  # on its way: to whom, what
        self.asked: list[tuple[str, words.Output]] = []
        self.cut: set[str] = set()  # nothing comes from these, and nothing to them
        for agent in agents:
            self.add(agent, others=agents)

    def add(self, agent: str, others: Iterable[str] = ()) -> Membership:
        agents, ranks = self.expected
        self.machines[agent] = Membership(
            agent,
            self.settings,
            expected_agents=agents,
            expected_ranks=ranks,
            peers=[*{*others, *self.machines}],
            now=self.now,
        )
        return self.machines[agent]

    def tell(self, agent: str, *inputs: words.Input) -> list[words.Output]:
        """What the machine answers; its messages are in the post."""
        answers: list[words.Output] = []
        for input in inputs:
            answers += self.machines[agent].handle(input, self.now)
        for output in answers:
            if isinstance(output, words.Send):
                if not {agent, output.to} & self.cut:
                    self.post.append((output.to, output.message))
            else:
                self.asked.append((agent, output))
        return answers

    def hear(self, agent: str, *messages: words.Message) -> list[words.Output]:
        return self.tell(agent, *(words.Heard(m) for m in messages))

    def deliver(self) -> None:
        """All messages, and the answers to them, until nobody has more to say."""
        while self.post:
            to, message = self.post.pop(0)
            if to in self.machines:
                self.hear(to, message)

    def lose_post(self) -> None:
        self.post.clear()

    def wait(self, seconds: float, *, tick_s: float = 0.1) -> None:
        """Time passes: everybody ticks, everything is delivered."""
        end = self.now + seconds
        while self.now < end - 1e-9:
            self.now = min(end, self.now + tick_s)
            for agent in self.machines:
                self.tell(agent, words.Tick())
            self.deliver()

    # ------------------------------------------------------------------------- the ranks

    def up(self, *members: Member) -> None:
        for one in members:
            self.tell(one.agent, words.RankUp(one))
            self.deliver()

    def halted(self, one: Member, step: int) -> list[words.Output]:
        ballot = self.machines[one.agent].promised
        return self.tell(one.agent, words.RankHalted(one.rank, one.life, ballot, step))

    def formed(self, generation: Generation, step: int) -> None:
        for one in generation.members:
            formed = words.RankFormed(one.rank, one.life, generation.ballot, step)
            self.tell(one.agent, formed)
        self.deliver()

    def train(self, *members: Member, step: int = 0) -> Generation:
        """All of these up, formed and at `step`, everybody alive to everybody."""
        self.wait(0.1)
        self.up(*members)
        self.wait(0.2)
        generation = self.generation
        assert generation.members == members, generation
        self.formed(generation, step)
        self.wait(2 * self.settings.heartbeat_s)
        self.asked.clear()
        return generation

    # ------------------------------------------------------------------------ to look at

    @property
    def generation(self) -> Generation:
        """The one generation that all agents who are not cut off have accepted."""
        known = [m.current for a, m in self.machines.items() if a not in self.cut]
        (generation,) = {*known}
        assert generation is not None
        return generation

    def members(self) -> tuple[Member, ...]:
        return self.generation.members

    def halts(self, agent: str) -> list[words.HaltRanks]:
        return [o for a, o in self.asked if a == agent and isinstance(o, words.HaltRanks)]

    def forms(self, agent: str) -> list[Generation]:
        return [
            o.generation for a, o in self.asked if a == agent and isinstance(o, words.FormRanks)
        ]


def halts(outputs: list[words.Output]) -> list[bool]:
    """Of the halts asked for: which are urgent."""
    return [o.urgent for o in outputs if isinstance(o, words.HaltRanks)]


def forms(outputs: list[words.Output]) -> list[Generation]:
    return [o.generation for o in outputs if isinstance(o, words.FormRanks)]


def sent(outputs: list[words.Output], kind: type[words.Message]) -> Iterator[words.Message]:
    return (o.message for o in outputs if isinstance(o, words.Send) and isinstance(o.message, kind))


def after(ballot: Ballot, agent: str = "a") -> Ballot:
    return Ballot(ballot.number + 1, agent)
