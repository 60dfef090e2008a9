"""What is told to the membership machine, what it asks for, and what agents tell each other."""

from __future__ import annotations

from dataclasses import dataclass

from evener.membership.generation import Ballot, Generation, Member

# ------------------------------------------------------- between agents (sender is an agent)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """I live. `promised` is the highest ballot I answered, `step` my ranks' last commit.

    `agents` are those of `current`: a leader that started again, and reached a number of its past
    again, tells by them that this is not its own generation. `met`: the group of `current` stood.
    `unheard`: agents that others may hear, and I do not.
    """

    sender: str
    promised: Ballot
    current: Ballot | None
    step: int
    done: bool
    agents: tuple[str, ...] = ()
    met: bool = False
    unheard: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plea:
    """You lead: form a new generation, because of `reason`. `urgent`: somebody is dead."""

    sender: str
    reason: str
    urgent: bool


@dataclass(frozen=True, slots=True)
class Prepare:
    """Phase one: halt your ranks and tell me where they stand."""

    sender: str
    ballot: Ballot
    urgent: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """One halted rank: its last committed step, -1 where it has no state.

    `parked`: it would slow the others down, and is a member only where nobody else is left.
    """

    member: Member
    step: int
    parked: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """Phase one's answer: my ranks stand still; `last` is the last generation they trained in.

    `gone`: agents of `last` that are known here to be dead, by evidence and not by silence.
    `unheard` as in a heartbeat.
    """

    sender: str
    ballot: Ballot
    standings: tuple[Standing, ...]
    last: Generation | None
    gone: tuple[str, ...] = ()
    unheard: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Go:
    """Phase two: this is the generation; form it."""

    sender: str
    generation: Generation


@dataclass(frozen=True, slots=True)
class Refused:
    """Your ballot is too old: I have promised this one."""

    sender: str
    promised: Ballot


@dataclass(frozen=True, slots=True)
class Goodbye:
    """I leave, orderly: count me out at once. `done`: because the run has ended."""

    sender: str
    done: bool


Message = Heartbeat | Plea | Prepare | Ready | Go | Refused | Goodbye

# --------------------------------------------------------------------- told to the machine


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; nothing else happened."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A message of another agent arrived (perhaps late, twice, or out of order)."""

    message: Message


@dataclass(frozen=True, slots=True)
class PeerLost:
    """Evidence, not silence: that agent's process is gone (its system closed the connection)."""

    agent: str


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """That agent was refused at the door, and its planned ranks with it: wait for neither."""

    agent: str
    ranks: int


@dataclass(frozen=True, slots=True)
class Past:
    """Before this agent began, the run had generations up to this number."""

    number: int


@dataclass(frozen=True, slots=True)
class RankUp:
    """A local rank process is built and wants to be a member; one that was parked, again."""

    member: Member


@dataclass(frozen=True, slots=True)
class RankHalted:
    """A local rank stands still for `ballot`."""

    rank: int
    life: int
    ballot: Ballot
    step: int


@dataclass(frozen=True, slots=True)
class RankFormed:
    """A local rank is in the group of `ballot` and trains on from `step`."""

    rank: int
    life: int
    ballot: Ballot
    step: int


@dataclass(frozen=True, slots=True)
class RankParked:
    """A local rank left the group of `ballot`, as all in it agreed, and keeps no state."""

    rank: int
    life: int
    ballot: Ballot


@dataclass(frozen=True, slots=True)
class RankBroken:
    """The group of `ballot` failed under a local rank."""

    rank: int
    life: int
    ballot: Ballot


@dataclass(frozen=True, slots=True)
class RankProgress:
    """A local rank committed `step`."""

    rank: int
    life: int
    step: int


@dataclass(frozen=True, slots=True)
class RankDown:
    """A local rank's process is gone."""

    rank: int
    life: int


@dataclass(frozen=True, slots=True)
class RunDone:
    """A local rank says the run has reached its end: no more generations."""


Input = (
    Tick | Heard | PeerLost | TurnedAway | Past | RankUp | RankHalted | RankFormed | RankParked
    | RankBroken | RankProgress | RankDown | RunDone
)  # fmt: skip

# ------------------------------------------------------------------- asked by the machine


@dataclass(frozen=True, slots=True)
class Send:
    """Send `message` to agent `to`; it may get lost."""

    to: str
    message: Message


@dataclass(frozen=True, slots=True)
class HaltRanks:
    """Bring all local ranks to a halt for `ballot`."""

    ballot: Ballot
    urgent: bool


@dataclass(frozen=True, slots=True)
class FormRanks:
    """Local members of this generation form its group; local ranks not in it stay halted."""

    generation: Generation


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Tell the user: ranks of `agent` stand aside, since it and `others` do not hear each other."""

    agent: str
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rests:
    """Tell the user: `agent` fell out so many times soon after it was let in, and waits now."""

    agent: str
    falls: int
    for_s: float


Output = Send | HaltRanks | FormRanks | LeftOut | Rests


@dataclass(frozen=True, slots=True)
class Settings:
    """Seconds; from the job's [membership]."""

    heartbeat_s: float = 0.5
    dead_s: float = 3.0
    form_s: float = 20.0
    join_s: float = 60.0
    halt_s: float = 10.0
    settle_s: float = 0.05  # joiners that arrive this close together share one re-form
    minority_waits: bool = True  # it is spared work that the others do as well
