"""One agent's processes of a torchrun script, by the numbers of their ranks."""

from __future__ import annotations

import contextlib
import math
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from evener.agent.blame import Failure
from evener.agent.child import Child
from evener.membership import words
from evener.membership.generation import Ballot, Member
from evener.placement import AgentPlan, RankPlan
from evener.rundir.layout import RunDir


@dataclass(eq=False, slots=True)
class Driven:
    """One rank of a script. `held` keeps its port for the store of a group that it would lead."""

    plan: RankPlan
    member: Member
    held: socket.socket
    child: Child | None = None
    ballot: Ballot | None = None  # of the generation it is in
    halting: Ballot | None = None
    through: bool = False  # it ended well, in this generation
    failure: Failure | None = None
    began_at: float = 0.0
    ended_at: float = 0.0
    kill_at: float = math.inf

    def stand_by(self) -> None:
        """For another generation: what was before is over."""
        self.halting, self.through, self.failure, self.kill_at = None, False, None, math.inf

    def begin(self, child: Child, now: float) -> None:
        self.child, self.began_at = child, now

    def fail(self, failure: Failure, now: float) -> None:
        self.failure, self.ended_at = failure, now

    def formed(self) -> words.RankFormed:
        assert self.ballot is not None
        return words.RankFormed(self.plan.rank, self.member.life, self.ballot, 0)

    def halted(self) -> words.RankHalted:
        assert self.halting is not None
        return words.RankHalted(self.plan.rank, self.member.life, self.halting, 0)

    def broken(self) -> words.RankBroken:
        assert self.ballot is not None
        return words.RankBroken(self.plan.rank, self.member.life, self.ballot)

    def word(self, run: RunDir) -> Path:
        """Where its process leaves word of what it failed of."""
        return run.logs / f".word_rank_{self.plan.rank}.json"

    def note(self, log: Path, text: str) -> None:
        """A line of ours among those of the script."""
        with contextlib.suppress(OSError), log.open("a", encoding="utf-8") as file:
            file.write(f"---- {time.strftime('%H:%M:%S')} evener: {text}\n")


def team(agent: AgentPlan, host: str) -> list[Driven]:
    """Of all of the agent's ranks; none runs yet."""
    return [_driven(agent.agent, plan, host) for plan in agent.ranks]


def _driven(agent: str, plan: RankPlan, host: str) -> Driven:
    """The port is bound and not listened on: torch may, for both say SO_REUSEADDR, and nobody
    is given it by chance."""
    held = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind((host, 0))
    port = int(held.getsockname()[1])
    return Driven(plan, Member(agent, plan.rank, 0, host, port), held)
