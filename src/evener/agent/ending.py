"""How a run ends when several agents each know a part of it. Pure.

Every agent tells the others what it knows. The lowest id that is alive records the one RunEnded;
should it die first, the next one does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from evener import errors
from evener.agent.naming import Names
from evener.agent.translate import Over
from evener.errors import EvenerError
from evener.events import Alert, RankLost, RunEnded
from evener.membership import Generation
from evener.orders import Done

_WEIGHT = {"stopped": 0, "finished": 1, "failed": 2}


def weightier(known: Over | None, new: Over) -> Over:
    """Of two ends the one to believe: who failed knows more than who was told to stop.

    Of two failures the first is the cause. Of others, whose ranks got further: who had none in the
    last generation knows an older step.
    """
    if known is None:
        return new
    weights = [_WEIGHT.get(over.outcome, 0) for over in (known, new)]
    further = new.outcome != "failed" and new.step > known.step
    return new if weights[1] > weights[0] or (weights[1] == weights[0] and further) else known


def known_elsewhere(
    over: Over, current: Generation | None, alive: Iterable[str], others_train: bool | None
) -> bool:
    """Whether others are still to tell where the run stopped: they train, without any rank of the
    one who says `over`, and have to come to a boundary first. One that is in no generation yet
    goes by what they say of themselves."""
    if over.outcome != "stopped" or over.at_once:
        return False
    if current is None:
        return bool(others_train)
    return over.sender not in current.agents and not {*current.agents}.isdisjoint(alive)


def from_done(sender: str, done: Sequence[Done], step: int, reason: str) -> Over:
    """The end that an agent's ranks tell of; without any rank the run was stopped at `step`."""
    finished = any(d.outcome == "finished" for d in done)
    last = max([step, *(d.step for d in done)])
    if finished:
        return Over(sender, "finished", last)
    return Over(sender, "stopped", last, reason)


def failed(sender: str, step: int, error: EvenerError) -> Over:
    return Over(sender, "failed", step, error.what, error.to_dict(), at_once=True)


def to_event(over: Over) -> RunEnded:
    return RunEnded(over.outcome, max(over.step, 0), over.reason, over.error)


def records(me: str, alive: Iterable[str]) -> bool:
    """Whether it is this agent that records the end."""
    return all(me < other for other in alive)


def lost_too_often(
    rank: int, deaths: int, reason: str, agent: str, out_of_memory: bool
) -> EvenerError:
    """Why a run is given up whose ranks die faster than they get anywhere."""
    times = "once" if deaths == 1 else f"{deaths} times"
    what = f"ranks died {times} without a step in between; the last, rank {rank}, was {reason}"
    if out_of_memory:
        return errors.OutOfMemory(
            what,
            where=f"agent {agent}",
            fix="fewer ranks (local.workers), a smaller train.micro_batch, or more memory",
        )
    return errors.RanksLost(
        what,
        where=f"agent {agent}",
        fix=f"`evener logs RUN --rank {rank}` shows its last words; then resume the run",
    )


def not_started(status: str, tail: Sequence[str], log: str) -> EvenerError:
    """Why a rank never called: most often something that it could not import."""
    lines = "".join(f"\n    {line}" for line in tail)
    return errors.StartFailed(
        f"a rank's process {status}{lines}", where=log, fix="the log says why"
    )


def others_train(current: Generation | None, alive: Iterable[str], me: str) -> bool:
    """Whether ranks of other agents do, as far as we know."""
    return current is not None and not {*current.agents}.isdisjoint({*alive} - {me})


def goes_on_without(names: Names, error: EvenerError) -> Alert:
    """What the others are told of an agent that cannot train with them."""
    who = "" if f"agent {names.me} " in error.what else f"{names.full(names.me)} cannot train: "
    where = f" ({error.where})" if error.where and who else ""
    return Alert("warning", f"{who}{error.what}{where}; the run goes on without it")


def own_failure(error: BaseException) -> EvenerError:
    return EvenerError(
        f"the agent failed: {type(error).__name__}: {error}",
        fix="its log in the run's folder has the traceback; please report it",
    )


def lost_with_agents(
    before: Generation | None, after: Generation | None, alive: Iterable[str], names: Names
) -> list[RankLost]:
    """Ranks whose agent fell out of the group: they have nobody else to report them. An agent that
    lives, without a rank at the moment, reports itself."""
    if before is None or after is None or names.me != after.agents[0]:
        return []
    here = {m.agent for m in (*after.members, *after.parked)} | {*alive}
    return [
        RankLost(m.agent, m.rank, f"its {names.full(m.agent)} is gone")
        for m in before.members
        if m.agent not in here
    ]
