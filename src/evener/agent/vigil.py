"""When a process that lives counts as lost all the same: it does not answer, move or end.

Nothing here guesses from slowness alone: a step may take minutes. What counts is a process that
was asked and does not react, that the system says is stopped while others go on, or that has not
got on for many times as long as it ever did, though it waits for nobody.
"""

from __future__ import annotations

from dataclasses import dataclass

from evener.agent.heart import UNSTEPPED_S
from evener.agent.ranks import RankProcess, Stage
from evener.config.schema import Membership as MembershipConfig

TAIL_LINES = 12
HELLO_S = 180.0  # to start Python and import torch: a cold disk, and others who want the processor
CALL_S = 1.0  # for a process to end once its line to us has
DRAIN_S = 0.5  # for a line to end once its process has
PART_S = 30.0  # for a process to end once it has said that its work is done
TOGETHER_S = 60.0  # between the first rank's end and the last one's
ASIDE_S = 2.0  # for a parked rank to hear of the end: it has no state that could be lost
WIND_S = 120.0  # for a last step and a checkpoint of a large model on a slow disk


class Pace:
    """How long a step takes at worst, from what ranks say about their progress."""

    def __init__(self) -> None:
        self._step, self._at = -1, 0.0
        self.slowest_s: float | None = None

    def begin(self, step: int, now: float) -> None:
        """A group stands: what came before was no stepping."""
        self._step, self._at = step, now

    def note(self, step: int, now: float) -> None:
        if step > self._step:
            each_s = (now - self._at) / (step - self._step)
            self.slowest_s = max(self.slowest_s or 0.0, each_s)
            self._step, self._at = step, now

    @property
    def patience_s(self) -> float:
        """A rank deep in a step reacts when that step is through."""
        return UNSTEPPED_S if self.slowest_s is None else 3 * self.slowest_s


@dataclass(frozen=True, slots=True)
class View:
    """What a judgement rests on besides the process itself."""

    now: float
    config: MembershipConfig
    pace: Pace
    stopping: bool
    over: bool  # some rank of the run has done all its work
    cpus: float = 1.0  # of the machine: under a small quota all takes longer
    compiles: bool = False  # a step may take minutes, at any time

    @property
    def hello_s(self) -> float:
        return HELLO_S / min(self.cpus, 1.0)

    @property
    def hang_s(self) -> float:
        return max(self.config.hang_s, UNSTEPPED_S) if self.compiles else self.config.hang_s


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a process must end, and whether its stack tells more."""

    why: str
    stack: bool = False


def judge(process: RankProcess, view: View, *, others_move: bool) -> Verdict | None:
    """Why the process must end, or None for one that may go on."""
    stuck = _stuck(process, view)
    why = stuck or _late(process, view, others_move=others_move)
    return Verdict(why, stack=bool(stuck)) if why else None


def _stuck(process: RankProcess, view: View) -> str:
    """It does not do what it was told, or nothing at all, though it is not suspended."""
    halt_s, still_s = _halt_s(view), view.now - process.heart.moved_s
    if process.lasts("urged", process.urged is not None, view.now) > halt_s:
        return f"did not stop within {halt_s:.0f} s of being told to"
    still = process.training and still_s > process.heart.patience_s(view.hang_s)
    if still and not process.child.suspended:
        return f"made no progress for {still_s:.0f} s; its log says where it hung"
    return ""


def _late(process: RankProcess, view: View, *, others_move: bool) -> str:
    """It does not call, end or move by itself in time."""
    now, config, halt_s = view.now, view.config, _halt_s(view)
    working = process.stage in (Stage.BUILDING, Stage.UP)
    suspended = others_move and process.training and process.child.suspended
    if process.lasts("starting", process.stage is Stage.STARTING, now) > view.hello_s:
        return f"did not call its agent within {view.hello_s:g} s"
    left = process.left and process.stage is not Stage.PARTED
    if process.lasts("left", left, now) > CALL_S:
        return "closed its line to the agent"
    if process.lasts("suspended", suspended, now) > config.dead_s:
        return f"was suspended for longer than {config.dead_s:g} s"
    aside = view.over and working and process.parked
    if process.lasts("aside", aside, now) > ASIDE_S:
        return f"did not end within {ASIDE_S:g} s of the run, though it was parked"
    if view.over and working and not process.training and not aside:
        return "had no work left"
    late = view.over and working and not process.afterwards
    if process.lasts("late", late, now) > TOGETHER_S:
        return f"did not end within {TOGETHER_S:g} s of the others"
    if process.lasts("winding", view.stopping and working, now) > WIND_S + halt_s:
        return f"did not stop within {WIND_S + halt_s:.0f} s"
    if process.lasts("parted", process.stage is Stage.PARTED, now) > PART_S:
        return f"did not end within {PART_S:g} s of saying so"
    return ""


def _halt_s(view: View) -> float:
    return view.config.halt_s + view.pace.patience_s
