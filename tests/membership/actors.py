"""Who acts in the modelled world: agents with the real machine inside, and their ranks.

Both are processes: they can be frozen, and their work then waits in order, or be gone. What they
do to one another goes through the world, which alone knows the time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any

from evener.membership import words
from evener.membership.generation import Ballot, Generation, Member
from evener.membership.machine import Membership
from evener.membership.ranks import NEVER
from evener.membership.round import Round

if TYPE_CHECKING:
    from tests.membership.world import World

TICK = words.Tick()
LOCAL_S = 0.001  # between an agent and its own ranks
KILL_S = 1.0  # an agent kills a rank that ignores an urgent halt for so long


def chain(state: int, step: int) -> int:
    """The state after `step`, a function of the state before it: a stand-in for training."""
    return (state * 6364136223846793005 + step + 1442695040888963407) % 2**64


STATES = [0]


def state_at(step: int) -> int:
    while len(STATES) <= step:
        STATES.append(chain(STATES[-1], len(STATES)))
    return STATES[step]


class Process:
    """Something that runs, may be frozen (its work then waits in order) and may be gone."""

    __slots__ = ("dead", "frozen", "inbox")

    def __init__(self) -> None:
        self.dead = False
        self.frozen = False
        self.inbox: list[tuple[Callable[..., None], tuple[Any, ...]]] = []

    def run(self, do: Callable[..., None], args: tuple[Any, ...]) -> None:
        if self.frozen:
            self.inbox.append((do, args))
        elif not self.dead:
            do(*args)

    def thaw(self) -> None:
        self.frozen = False
        inbox, self.inbox = self.inbox, []
        for do, args in inbox:
            self.run(do, args)


class Group:
    """The process group of one generation: all its members, or none."""

    __slots__ = ("broken", "generation", "members", "parting", "steps")

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self.members: dict[Member, Rank] = {}
        self.broken = False
        self.steps = 0  # taken in it, by all members together
        self.parting: frozenset[Member] = frozenset()  # who parks at the next boundary


class Rank(Process):
    """A rank process: it is standing, forming or training, in `mode`."""

    __slots__ = (
        "agent", "ancestors", "group", "halt", "member", "mode", "parked", "state", "step", "world",
    )  # fmt: skip

    def __init__(self, world: World, agent: Agent, member: Member) -> None:
        super().__init__()
        self.world, self.agent, self.member = world, agent, member
        self.mode = "standing"
        self.step, self.state = -1, 0
        self.group: Group | None = None
        self.halt: words.HaltRanks | None = None
        self.ancestors: tuple[Generation, ...] = ()  # of its state
        self.parked = False  # as far as it knows itself

    def say(self, kind: Callable[..., words.Input], *values: Any) -> None:
        said = kind(self.member.rank, self.member.life, *values)
        self.world.later(LOCAL_S, self.agent, self.agent.take, (said,))

    def on_halt(self, halt: words.HaltRanks) -> None:
        self.halt = halt
        if self.mode == "standing":
            self.say(words.RankHalted, halt.ballot, self.step)
        elif halt.urgent:
            self.break_off()

    def on_form(self, generation: Generation) -> None:
        self.world.demand(self.mode == "standing", "{} is to form, not standing", self.member)
        self.halt = None
        self.mode, self.parked = "forming", False
        self.world.arrive(self, generation)

    def stand(self) -> None:
        self.mode, self.group = "standing", None
        if self.halt is not None:
            self.say(words.RankHalted, self.halt.ballot, self.step)

    def part(self, group: Group) -> None:
        """All in the group agreed that some of them park: all leave it, unasked."""
        if self.group is not group or self.mode != "training":
            return
        if self.member in group.parting:
            self.parked = True
            self.step, self.state, self.ancestors = -1, 0, ()
            self.say(words.RankParked, group.generation.ballot)
        self.stand()

    def come_back(self) -> None:
        if self.parked:
            self.parked = False
            self.world.later(LOCAL_S, self.agent, self.agent.take, (words.RankUp(self.member),))

    def break_off(self) -> None:
        """The group under this rank failed, or is made to: the others notice."""
        group = self.group
        if group is None or self.dead:
            return
        self.say(words.RankBroken, group.generation.ballot)
        self.stand()
        self.world.break_up(group, self.member.agent)

    def commit(self, group: Group, step: int) -> None:
        if self.group is group and self.mode == "training" and self.step == step - 1:
            self.step, self.state = step, chain(self.state, step)
            self.say(words.RankProgress, step)
            self.world.note_commit(group, self)


class Agent(Process):
    """An agent process around the real machine; it owns its ranks."""

    __slots__ = (
        "born_at", "current", "id", "machine", "numbers", "pending_ups", "promised", "ranks",
        "world",
    )  # fmt: skip

    def __init__(self, world: World, id: str, numbers: Iterable[int], peers: Iterable[str]) -> None:
        super().__init__()
        self.world, self.id, self.numbers = world, id, tuple(numbers)
        self.born_at = world.now
        self.pending_ups = 0
        self.ranks: dict[int, Rank] = {}
        self.machine = Membership(
            id,
            world.settings,
            expected_agents=world.planned_agents,
            expected_ranks=world.planned_ranks,
            peers=list(peers),
            now=world.now,
        )
        self.promised = NEVER  # as of the last check, both
        self.current: Generation | None = None

    def take(self, input: words.Input) -> None:
        world, opened = self.world, self.machine._round
        outputs = self.machine.handle(input, world.now)
        self.check(outputs)
        if opened is not None:
            self.check_choice(opened)
        if world.trace is not None:
            self.tell(world.trace, input, outputs)
        for output in outputs:
            self.obey(output)

    def tell(
        self, trace: Callable[[str], None], input: words.Input, outputs: list[words.Output]
    ) -> None:
        if not isinstance(input, words.Tick):
            trace(f"{self.world.now:8.3f} {self.id} <- {input}")
        for output in outputs:
            trace(f"{self.world.now:8.3f} {self.id} -> {output}")

    def check(self, outputs: list[words.Output]) -> None:
        machine, demand = self.machine, self.world.demand
        promised, current = machine.promised, machine.current
        if promised is not self.promised or current is not self.current:
            self.check_change(promised, current)
        for output in outputs:
            if isinstance(output, words.FormRanks):
                demand(output.generation is current, "{} forms unaccepted", self.id)
            elif isinstance(output, words.Send):
                demand(output.to != self.id, "{} sends to itself", self.id)

    def check_change(self, promised: Ballot, current: Generation | None) -> None:
        demand, before = self.world.demand, self.promised
        demand(promised >= before, "{} took back its promise {}", self.id, before)
        if current is not self.current:
            demand(current is not None, "{} forgot its generation", self.id)
            assert current is not None
            ballot, last = current.ballot, NEVER if self.current is None else self.current.ballot
            demand(ballot >= last, "{} went back to generation {}", self.id, ballot)
            demand(ballot in (before, promised), "{} accepted {} unpromised", self.id, ballot)
            self.world.register(current)
        self.promised, self.current = promised, current

    def check_choice(self, opened: Round) -> None:
        """What our ballot came to, if it came to anything in this moment."""
        generation = self.machine.current
        if generation is None or generation.ballot != opened.ballot:
            return
        self.world.lineage.stood_by(generation, {*opened.readys} - {*generation.agents})
        alive = (r for a, r in opened.readys.items() if a in self.machine.alive)
        standings = {s.member: s.parked for r in alive for s in r.standings}
        chosen = [standings[m] for m in generation.members]
        needless = any(chosen) and not all(standings.values())
        self.world.demand(not needless, "{} needs no parked rank", generation.ballot)

    def parks(self, rank: Rank) -> bool:
        """Whether it stands aside, as the machine and the rank itself know."""
        if not rank.parked or rank.mode != "standing":
            return False
        standings = self.machine._follower.ranks.standings()
        return any(s.parked and s.member == rank.member for s in standings)

    def recall(self, numbers: Collection[int]) -> None:
        """Others think that these would help now."""
        for rank in list(self.ranks.values()):
            if rank.member.rank in numbers and self.parks(rank):
                self.take(words.RankUp(rank.member))

    def obey(self, output: words.Output) -> None:
        world = self.world
        match output:
            case words.Send(to, message):
                world.send(self.id, to, message)
            case words.HaltRanks(ballot, urgent):
                for rank in self.ranks.values():
                    world.later(LOCAL_S, rank, rank.on_halt, (output,))
                    if urgent:
                        world.later(KILL_S, self, world.kill_if_deaf, (rank, ballot))
            case words.FormRanks(generation):
                for rank in self.ranks.values():
                    if rank.member in generation.members:
                        world.later(LOCAL_S, rank, rank.on_form, (generation,))

    def tick(self) -> None:
        self.take(TICK)
