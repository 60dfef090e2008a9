"""A modelled world for the membership machine: agents, ranks and a network, on a virtual clock.

The agents hold the real machines. Everything around them is modelled, simply: ranks that halt,
form, break and commit; a network that loses, doubles, delays and reorders; deaths with and without
evidence, freezes, cuts. The rules are checked after every event, and a broken one is a
BrokenRuleError that names its seed.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from evener.membership import words
from evener.membership.generation import Ballot, Generation, Member
from tests.membership.actors import LOCAL_S, Agent, Group, Process, Rank, state_at
from tests.membership.lineage import Lineage

SETTINGS = words.Settings(
    heartbeat_s=0.5, dead_s=1.5, form_s=3.0, join_s=3.0, halt_s=1.5, settle_s=0.05
)
TICK_S = 0.2
STEP_S = 0.15  # a training step of a group
CHECKPOINT_STEPS = 4
FAULTS_END_S = 8.0


class BrokenRuleError(AssertionError):
    """A rule of the protocol did not hold; the text begins with the seed."""


@dataclass(frozen=True, slots=True)
class Luck:
    """How bad the network of one seed is."""

    loss: float
    doubling: float
    lateness: float  # the part of the messages that is up to a second late
    ordered: bool  # as on one connection


class World:
    """The queue of what happens next, and all that is true at this moment."""

    def __init__(
        self,
        seed: int,
        trace: Callable[[str], None] | None = None,
        *,
        minority_waits: bool = True,
    ) -> None:
        self.seed = seed
        self.trace = trace
        self.random = random.Random(seed)
        # A start that waits longer than the faults last never begins in two places.
        self.settings = replace(
            SETTINGS,
            join_s=self.random.choice((3.0, FAULTS_END_S + 1)),
            minority_waits=minority_waits,
        )
        self.now = 0.0
        self.events = 0
        self.queue: list[tuple[float, int, Process | None, Callable[..., None], Any]] = []
        self.agents: dict[str, Agent] = {}
        self.dead_agents: list[str] = []
        self.cuts: set[tuple[str, str]] = set()  # (from, to): nothing comes through
        self.lines: dict[tuple[str, str], float] = {}  # when the last message of each arrives
        self.ports_taken = 0
        self.luck = Luck(0.0, 0.0, 0.0, True)
        self.groups: dict[Generation, Group] = {}
        self.lineage = Lineage(self.settings.join_s < FAULTS_END_S, minority_waits)
        self.planned_agents = self.planned_ranks = 0
        self.highest_step = 0

    # ----------------------------------------------------------------------------- the clock

    def later(
        self, delay_s: float, process: Process | None, do: Callable[..., None], args: Any = ()
    ) -> None:
        self.events += 1
        heapq.heappush(self.queue, (self.now + delay_s, self.events, process, do, args))

    def run(self, until: float, stop: Callable[[], bool] | None = None) -> bool:
        queue = self.queue
        while queue and queue[0][0] <= until:
            self.now, _, process, do, args = heapq.heappop(queue)
            if process is None:
                do(*args)
            else:
                process.run(do, args)
            if stop is not None and stop():
                return True
        self.now = until
        return False

    def demand(self, holds: bool, rule: str, *about: object) -> None:
        """`rule` has a {} for each that it is about: most hold, and are never put in words."""
        if not holds:
            told = rule.format(*about)
            raise BrokenRuleError(f"seed {self.seed}, at {self.now:.3f} s: {told}")

    # --------------------------------------------------------------------------- the network

    def send(self, sender: str, to: str, message: words.Message) -> None:
        luck, draw = self.luck, self.random.random
        if (sender, to) in self.cuts or (luck.loss and draw() < luck.loss):
            return
        for _ in range(2 if luck.doubling and draw() < luck.doubling else 1):
            late = draw() * (1.0 if luck.lateness and draw() < luck.lateness else 0.01)
            arrives = self.now + 0.001 + late
            if luck.ordered:
                arrives = max(arrives, self.lines.get((sender, to), 0.0))
                self.lines[sender, to] = arrives
            ends = (self.agents.get(sender), self.agents.get(to))
            self.later(arrives - self.now, None, self.carry, (ends, words.Heard(message)))

    def carry(self, ends: tuple[Agent | None, Agent | None], input: words.Heard) -> None:
        """To the very process it was meant for: one that started again has other connections."""
        sender, to = ends
        if sender is None or to is None or self.agents.get(sender.id, sender) is not sender:
            return
        to.run(to.take, (input,))

    def deliver(self, to: str, input: words.Input) -> None:
        agent = self.agents.get(to)
        if agent is not None:
            agent.run(agent.take, (input,))

    def cut_off(self, a: str, b: str) -> bool:
        return (a, b) in self.cuts or (b, a) in self.cuts

    # ------------------------------------------------------------------- generations, groups

    def register(self, generation: Generation) -> None:
        """An agent started again may use a ballot of its past: nobody who was there is in it. Who
        was there and slept may hear of that past only now: it is of the agent's life before."""
        decided_at = self.lineage.decided(generation, self.now)
        for agent in (self.agents[a] for a in generation.agents if a in self.agents):
            if agent.born_at > decided_at:
                continue
            known = agent.machine.current
            twice = known is not None and known.ballot == generation.ballot
            same = not twice or known == generation
            self.demand(same, "{} has two meanings", generation.ballot)

    def arrive(self, rank: Rank, generation: Generation) -> None:
        group = self.groups.setdefault(generation, Group(generation))
        rank.group = group
        group.members[rank.member] = rank
        self.later(self.settings.form_s, rank, self.give_up, (rank, group))
        if group.broken:
            self.later(0.005, rank, self.give_up, (rank, group))
        elif len(group.members) == len(generation.members):
            self.later(0.01 + 0.2 * self.random.random(), None, self.level, (group,))

    def give_up(self, rank: Rank, group: Group) -> None:
        if rank.group is group and rank.mode == "forming":
            rank.break_off()

    def together(self, group: Group, mode: str) -> bool:
        """Whether nothing keeps the members from talking to one another."""
        members = group.members.values()
        if any(r.dead or r.frozen or r.mode != mode or r.group is not group for r in members):
            return False
        if not self.cuts:
            return True
        agents = group.generation.agents
        return not any(self.cut_off(a, b) for a in agents for b in agents)

    def level(self, group: Group) -> None:
        """Everybody met: the states become the source's."""
        if group.broken:
            return
        if not self.together(group, "forming"):
            self.later(0.1, None, self.level, (group,))
            return
        generation = group.generation
        source = group.members[generation.members[generation.source]]
        if generation.step == -1:
            self.demand(all(r.step == -1 for r in group.members.values()), "state was forgotten")
            step = self.highest_step // CHECKPOINT_STEPS * CHECKPOINT_STEPS
            source.step, source.state, source.ancestors = step, state_at(step), ()
        else:
            self.demand(source.step == generation.step, "{}: source is elsewhere", generation)
        ancestors = self.lineage.levelled(generation, source.ancestors)
        for rank in group.members.values():
            back = rank.step > source.step
            self.demand(not back, "{} would go back from {}", rank.member, rank.step)
            rank.step, rank.state, rank.ancestors = source.step, source.state, ancestors
            self.later(0.02 * self.random.random(), rank, self.begin, (rank, group))
        self.later(STEP_S, None, self.reduce, (group,))

    def begin(self, rank: Rank, group: Group) -> None:
        if rank.group is group and rank.mode == "forming":
            rank.mode = "training"
            rank.say(words.RankFormed, group.generation.ballot, rank.step)

    def reduce(self, group: Group) -> None:
        """One step: reduced by all or by none, then taken by each on its own."""
        if group.broken or self.over(group):
            return
        self.later(STEP_S, None, self.reduce, (group,))
        ranks = list(group.members.values())
        if not self.together(group, "training") or len({r.step for r in ranks}) != 1:
            return
        self.demand(len({r.state for r in ranks}) == 1, "{}: states differ", group.generation)
        if any(r.halt is not None for r in ranks):
            for rank in ranks:
                rank.stand()
            return
        if group.parting:
            for rank in ranks:
                self.later(0.005 * (rank.member.port % 10), rank, rank.part, (group,))
            return
        other = self.lineage.stepped(group.generation)
        twice = (group.generation.ballot, other and other.ballot)
        self.demand(other is None, "{} and {} train at the same time", *twice)
        for rank in ranks:
            self.later(0.01 * self.random.random(), rank, rank.commit, (group, rank.step + 1))

    def over(self, group: Group) -> bool:
        return all(r.dead or r.group is not group for r in group.members.values())

    def break_up(self, group: Group, by: str) -> None:
        """A member left: those whose connection to it still works notice at once."""
        group.broken = True
        for rank in group.members.values():
            if not self.cut_off(by, rank.member.agent):
                self.later(0.002, rank, self.notice_break, (rank, group))

    def notice_break(self, rank: Rank, group: Group) -> None:
        if rank.group is group:
            rank.break_off()

    def note_commit(self, group: Group, rank: Rank) -> None:
        self.demand(rank.state == state_at(rank.step), "{} diverged at {}", rank.member, rank.step)
        self.highest_step = max(self.highest_step, rank.step)
        group.steps += 1

    # --------------------------------------------------------------------------------- luck

    def add_agent(self, id: str, ranks: Iterable[int], up_within_s: float) -> Agent:
        agent = Agent(self, id, ranks, self.agents)
        self.agents[id] = agent
        self.later(TICK_S * self.random.random(), None, self.tick, (agent,))
        for rank in agent.numbers:
            self.up_later(agent, rank, 0, self.random.random() * up_within_s)
        return agent

    def tick(self, agent: Agent) -> None:
        if not agent.dead:
            if not agent.frozen:
                agent.tick()
            self.later(TICK_S, None, self.tick, (agent,))

    def up_later(self, agent: Agent, rank: int, life: int, delay_s: float) -> None:
        agent.pending_ups += 1
        self.later(delay_s, None, self.rank_up, (agent, rank, life))

    def rank_up(self, agent: Agent, number: int, life: int) -> None:
        agent.pending_ups -= 1
        if agent.dead:
            return
        self.ports_taken += 1  # like a process's own port: no two are ever alike
        member = Member(agent.id, number, life, "host", self.ports_taken)
        agent.ranks[number] = Rank(self, agent, member)
        agent.run(agent.take, (words.RankUp(member),))

    def kill_rank(self, rank: Rank, *, replace: bool = True, silent: bool = False) -> None:
        if rank.dead:
            return
        rank.dead = True
        agent, member = rank.agent, rank.member
        if rank.group is not None and not silent:
            self.break_up(rank.group, member.agent)
        if not agent.dead:
            del agent.ranks[member.rank]
            down = words.RankDown(member.rank, member.life)
            self.later(LOCAL_S, agent, agent.take, (down,))
            if replace:
                delay_s = self.random.choice((0.0, 0.02, 0.3, 1.5))
                self.up_later(agent, member.rank, member.life + 1, 2 * LOCAL_S + delay_s)

    def kill_if_deaf(self, rank: Rank, ballot: Ballot) -> None:
        ignored = rank.halt is None or rank.halt.ballot < ballot or rank.mode != "standing"
        asked_since = rank.group is not None and rank.group.generation.ballot >= ballot
        if ignored and not asked_since and not rank.dead and not rank.agent.frozen:
            self.kill_rank(rank)

    def kill_agent(self, agent: Agent, *, evidence: bool) -> None:
        agent.dead = True
        del self.agents[agent.id]
        for rank in list(agent.ranks.values()):
            self.kill_rank(rank, silent=not evidence)
        self.dead_agents.append(agent.id)
        self.lineage.died(agent.id, self.now)
        if evidence:
            self.spread_evidence(agent.id)

    def spread_evidence(self, gone: str) -> None:
        for other in list(self.agents):
            if not self.cut_off(gone, other):
                delay_s = 0.001 + 0.01 * self.random.random()
                arrives = max(self.now + delay_s, self.lines.get((gone, other), 0.0))
                self.later(arrives - self.now, None, self.deliver, (other, words.PeerLost(gone)))

    def freeze(self, processes: Iterable[Process], for_s: float) -> None:
        for process in processes:
            process.frozen = True
            self.later(for_s, None, self.thaw, (process,))

    def thaw(self, process: Process) -> None:
        if not process.dead and process.frozen:
            if isinstance(process, Agent) and self.random.random() < 0.5:
                process.inbox.insert(0, (process.tick, ()))
            process.thaw()

    def cut(self, pairs: Iterable[tuple[str, str]], for_s: float) -> None:
        added = {*pairs} - self.cuts
        self.cuts |= added
        self.later(for_s, None, self.cuts.difference_update, (added,))
