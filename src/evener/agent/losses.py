"""What a rank's failure or death says: is it the job's fault, the machine's, or chance?

Chance is tried again at once. What happens to a rank again and again, while others go on, is its
machine's: it gets less to do, or is left out for a while. What happens to two ranks alike, or to
all, is the job's, and ends the run, once.
"""

from __future__ import annotations

import logging

from evener.agent import deaths, ending, vigil
from evener.agent.ranks import RankProcess, Ranks, Slot, Stage
from evener.agent.relapse import OUT_S, Sentence
from evener.agent.translate import Idle, Stumbled
from evener.agent.voice import Voice
from evener.config.schema import Job
from evener.errors import (
    CheckpointMismatch,
    CodeRaised,
    DeviceFailed,
    DeviceMissing,
    EvenerError,
    OutOfMemory,
    RankFailed,
)
from evener.events import Alert, RankLeftOut, RankLost

log = logging.getLogger(__name__)

STANDBY_TRIES = 3  # a standby that cannot live is a comfort to do without
NOT_ALL = (CodeRaised, RankFailed)  # failures that need not be every rank's
MACHINES = (OutOfMemory, DeviceFailed, DeviceMissing)  # in which machines differ: no proof at all


class Losses:
    """Of one agent's ranks. Where a method returns an error, the run is to end with it."""

    def __init__(self, me: str, job: Job, ranks: Ranks, voice: Voice) -> None:
        self._me, self._ranks, self._voice = me, ranks, voice
        self.batch, self._bounded = job.train.global_batch, job.balance.bounded
        self._max_restarts = job.membership.max_restarts
        self._deaths = 0  # since the last step
        self._failures: dict[tuple[str, str], EvenerError | None] = {}  # None: another agent's
        self._standby_tries = STANDBY_TRIES if job.membership.standby else 0
        self._inquest = deaths.Inquest()

    @property
    def standby(self) -> bool:
        """Whether a process is to wait for a number."""
        return self._standby_tries > 0

    def progressed(self) -> None:
        """A step was taken: what killed ranks before does not kill all."""
        self._deaths = 0

    # ----------------------------------------------------------------------------- failures

    def failed(self, error: EvenerError, process: RankProcess, others_train: bool) -> bool:
        """Whether the others go on without it. It is tried again, perhaps much later."""
        if others_train and process.joined_s is None and self._is_its_own(error, process):
            return True
        self._voice.tell_agents(Stumbled(self._me, error.code, error.where))
        if isinstance(error, MACHINES):  # its death is judged as any other
            return others_train and self._max_restarts > 0
        may_die = self._deaths < self._max_restarts
        if not (isinstance(error, NOT_ALL) and others_train and may_die):
            return False
        known = (error.code, error.where) in self._failures
        self._failures[error.code, error.where] = error
        return not known

    def _is_its_own(self, error: EvenerError, process: RankProcess) -> bool:
        """Whether it is a newcomer's own fault: of those that train already it says nothing."""
        if isinstance(error, (CheckpointMismatch, *MACHINES)) or process.slot is None:
            return False
        if not isinstance(error, NOT_ALL):  # it would fail alike again
            where = f" ({error.where})" if error.where else ""
            process.slot.relapse.unfit = f"{error.what}{where}; {error.fix}"
        return True

    def failed_elsewhere(self, code: str, place: str) -> EvenerError | None:
        """The failure of a rank of ours, if another agent's has failed like it."""
        return self._failures.setdefault((code, place), None)

    # ------------------------------------------------------------------------------- deaths

    def lost(
        self, process: RankProcess, slot: Slot, others_train: bool, now: float
    ) -> EvenerError | None:
        """A process that had a number is gone."""
        (reason, out_of_memory), rank = self._inquest.of(process), slot.plan.rank
        self._voice.emit(RankLost(self._me, rank, reason))
        log.warning("rank %d is lost: %s", rank, reason)
        slot.relapse.died(process.trained_s(now), reason, out_of_memory, now)
        self._judge(slot, others_train, now)
        slot.resting = slot.relapse.rests(now, alone=False)
        return None if slot.relapse.unfit else self._count(rank, reason, out_of_memory)

    def _judge(self, slot: Slot, others_train: bool, now: float) -> None:
        """What is done about a number whose holders die again and again."""
        relapse, rank = slot.relapse, slot.plan.rank
        may_have_less = others_train and slot.samples > 1 and self._bounded
        match relapse.sentence(may_have_less=may_have_less, may_be_out=others_train):
            case Sentence.LESS:
                slot.samples //= 2
                slot.most = slot.samples / self.batch
                text = f"it takes {slot.samples} samples at most from now on"
                self._voice.emit(Alert("warning", f"rank {rank}: {relapse.story}; {text}", rank))
                relapse.forgive()
            case Sentence.OUT:
                relapse.leave_out(now)
                text = f"{relapse.story}; it is tried again in {OUT_S / 60:.0f} minutes"
                self._voice.emit(RankLeftOut(self._me, rank, text))
                if not any(process.counts for process in self._ranks):
                    self._voice.tell_agents(Idle(self._me))
            case Sentence.AGAIN:
                return
        self._deaths = 0

    def idler(self, process: RankProcess) -> EvenerError | None:
        """A process without a number is gone: the run's first, or a standby."""
        child, (reason, out_of_memory) = process.child, self._inquest.of(process)
        if len(self._ranks.vacant) <= len(self._ranks.free):
            self._standby_gone(reason)
            return None
        killed = child.status < 0 and not process.verdict
        if killed or process.stage is Stage.WARM:
            return self._count(self._ranks.vacant[0].plan.rank, reason, out_of_memory)
        how = process.verdict or f"ended with status {child.status} before it called"
        return ending.not_started(how, child.tail(vigil.TAIL_LINES), str(child.log))

    def _standby_gone(self, reason: str) -> None:
        self._standby_tries -= 1
        text = f"the standby of agent {self._me} is gone ({reason})"
        if self._standby_tries <= 0:
            text += "; no other is started, a lost rank will take longer to replace"
        self._voice.emit(Alert("warning", text))

    def _count(self, rank: int, reason: str, out_of_memory: bool) -> EvenerError | None:
        self._deaths += 1
        if self._deaths <= self._max_restarts:
            return None
        return ending.lost_too_often(rank, self._deaths, reason, self._me, out_of_memory)
