"""The agent's rank processes: who holds which rank's number, and who waits warm for one.

Processes are interchangeable until they take a number. The first ones of a run take theirs as
soon as the data is there; a standby takes the number of a rank that died.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from evener import orders
from evener.agent.child import Child
from evener.agent.heart import Heart
from evener.agent.relapse import Relapse
from evener.membership.generation import Ballot, Member
from evener.orders import Done, Order
from evener.placement import RankPlan
from evener.rundir.layout import RunDir
from evener.wire.channel import Channel

STACK_S = 1.0  # for a process that hangs to write where


class Stage(Enum):
    """How far a process has come."""

    STARTING = "starting"  # has not called yet: Python imports torch
    WARM = "warm"
    BUILDING = "building"  # has taken a number
    UP = "up"  # membership knows it
    PARTED = "parted"  # has said Done or Failed, and ends by itself


@dataclass(eq=False, slots=True)
class Slot:
    """A rank's number: who holds it, and in which life."""

    plan: RankPlan
    life: int = 0
    process: RankProcess | None = None
    done: Done | None = None
    relapse: Relapse = field(default_factory=Relapse)
    resting: bool = False  # its next process is not started yet
    samples: int = 0  # it took of a step, as it said last
    most: float = 1.0  # of a batch that it may take, having died of more


@dataclass(eq=False, slots=True)
class RankProcess:
    """One process of ours, with what we last heard of it. Times are the agent's clock."""

    child: Child
    started_s: float
    stage: Stage = Stage.STARTING
    channel: Channel | None = None
    store_port: int = 0
    wish: Slot | None = None  # the number it was started for; None for a standby
    slot: Slot | None = None  # the number it has
    training: bool = False  # its group stands, as far as it has told
    joined_s: float | None = None  # when the first one did
    afterwards: bool = False  # its script has ended its loop, not itself
    parked: bool = False  # it stands aside, and has no work to end
    left: bool = False  # its connection has ended
    down: bool = False  # membership knows that it is gone
    urged: Ballot | None = None  # asked to break its group for this ballot, not answered yet
    heart: Heart = field(default_factory=Heart)
    since: dict[str, float] = field(default_factory=dict)  # when it was first found in a state
    verdict: str = ""  # why we ended it ourselves

    def say(self, order: Order) -> None:
        if self.channel is not None:
            self.channel.send(orders.to_dict(order))

    def condemn(self, why: str, stack: bool, now: float) -> None:
        """End it. `why` is what a person will read; `stack`: it is to write first where it is."""
        if stack:
            if "stack" not in self.since:
                self.child.dump_stack()
            if self.lasts("stack", True, now) <= STACK_S:
                return
        self.verdict = self.verdict or why
        self.child.kill()

    def acquit(self) -> None:
        """It has come to itself before it was ended."""
        self.since.pop("stack", None)

    def joined(self, now: float) -> None:
        """Its group stands."""
        self.training = True
        self.joined_s = now if self.joined_s is None else self.joined_s

    def trained_s(self, now: float) -> float:
        """Since its first group stood."""
        return 0.0 if self.joined_s is None else now - self.joined_s

    @property
    def counts(self) -> bool:
        """Whether it trains, or will again once the group that it was in stands anew."""
        there = self.stage is Stage.UP and not (self.down or self.parked)
        return there and self.joined_s is not None and not self.child.suspended

    def urge(self, ballot: Ballot) -> None:
        self.urged = ballot

    def answered(self, ballot: Ballot) -> None:
        """It stands, or trains, for `ballot`: what it was urged to before is settled."""
        if self.urged is not None and ballot >= self.urged:
            self.urged = None
            self.since.pop("urged", None)

    def lasts(self, state: str, holds: bool, now: float) -> float:
        """For how long `state` has held without a break, in seconds."""
        if not holds:
            self.since.pop(state, None)
            return 0.0
        return now - self.since.setdefault(state, now)


class Ranks:
    """All of an agent's processes. `start` starts one that logs to the given file."""

    def __init__(
        self, agent: str, run: RunDir, plans: Sequence[RankPlan], start: Callable[[Path], Child]
    ) -> None:
        self._agent, self._run, self._start = agent, run, start
        self.slots = [Slot(plan) for plan in plans]
        self.processes: list[RankProcess] = []

    def __iter__(self) -> Iterator[RankProcess]:
        return iter(list(self.processes))

    @property
    def vacant(self) -> list[Slot]:
        """Numbers that a process is to take now."""
        return [s for s in self.slots if s.process is None and s.done is None and not s.resting]

    @property
    def busy(self) -> bool:
        """Whether any rank has work left, or may have."""
        return any(s.process and not s.process.parked and s.done is None for s in self.slots)

    @property
    def through(self) -> bool:
        """Whether any rank has done its work. One that was parked had none."""
        done = (s.process for s in self.slots if s.done is not None)
        return any(process is not None and not process.parked for process in done)

    @property
    def free(self) -> list[RankProcess]:
        """Warm ones first: they can take a number now."""
        found = [p for p in self.processes if p.stage in (Stage.WARM, Stage.STARTING)]
        return sorted(found, key=lambda p: p.stage is Stage.STARTING)

    def of(self, child: Child) -> RankProcess | None:
        return next((p for p in self.processes if p.child is child), None)

    def speaking(self, channel: Channel) -> RankProcess | None:
        return next((p for p in self.processes if p.channel is channel), None)

    def greet(self, pid: int, channel: Channel, store_port: int) -> RankProcess | None:
        """The process that says it is `pid`; None for one that we have not started."""
        for process in self.processes:
            if process.child.pid == pid and process.stage is Stage.STARTING:
                process.channel, process.store_port = channel, store_port
                process.stage = Stage.WARM
                return process
        return None

    def rouse(self, now: float, alone: bool) -> bool:
        """Whether a number that rested is to be taken again."""
        roused = False
        for slot in self.slots:
            before, slot.resting = slot.resting, slot.relapse.rests(now, alone)
            roused = roused or (before and not slot.resting)
        return roused

    def fill(self, standby: bool, now: float) -> None:
        """Start processes until every vacant number, and the standby's place, has one coming."""
        missing = len(self.vacant) + standby - len(self.free)
        for slot in [*self._unwished(), None][: max(missing, 0)]:
            log = self._run.rank_log(slot.plan.rank) if slot else self._standby_log
            self.processes.append(RankProcess(self._start(log), now, wish=slot))

    def take(self) -> list[RankProcess]:
        """Give warm processes the vacant numbers; returns those that got one."""
        taken = []
        for process in [p for p in self.processes if p.stage is Stage.WARM]:
            slot = self._number_for(process)
            if slot is not None:
                slot.process, process.slot = process, slot
                process.stage = Stage.BUILDING
                process.child.follow(self._run.rank_log(slot.plan.rank))
                taken.append(process)
        return taken

    def _number_for(self, process: RankProcess) -> Slot | None:
        """The number it was started for; else one that nobody else was; else any."""
        vacant = self.vacant
        if process.wish in vacant:
            return process.wish
        return next(iter([*self._unwished(), *vacant]), None)

    def _unwished(self) -> list[Slot]:
        """Vacant numbers that no process was started for."""
        wished = [p.wish for p in self.free]
        return [s for s in self.vacant if s not in wished]

    def remove(self, process: RankProcess) -> Slot | None:
        """Forget an ended process; returns the slot that it left vacant, in its next life."""
        self.processes.remove(process)
        slot = process.slot
        if slot is None or slot.done is not None:
            return None
        slot.process = None
        slot.life += 1
        return slot

    def member(self, process: RankProcess, host: str) -> Member:
        assert process.slot is not None
        rank, life = process.slot.plan.rank, process.slot.life
        return Member(self._agent, rank, life, host, process.store_port)

    def holder(self, rank: int, life: int) -> RankProcess | None:
        """The process that is `rank` in its life number `life`."""
        for process in self.processes:
            slot = process.slot
            if slot is not None and slot.plan.rank == rank and slot.life == life:
                return process
        return None

    @property
    def _standby_log(self) -> Path:
        return self._run.logs / f"standby_{self._agent}.log"
