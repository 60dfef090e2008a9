"""What an agent does about its ranks: number them, replace the dead, halt, form and stop them.

Called by the agent's loop only, one thing at a time; nothing here waits. Time is the agent's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from evener import orders, placement
from evener.agent import deaths, ending, translate, vigil
from evener.agent.child import Child
from evener.agent.heart import AwakeClock
from evener.agent.ranks import RankProcess, Ranks, Slot, Stage
from evener.agent.translate import Letter, Over, Return
from evener.config.schema import Job
from evener.errors import EvenerError
from evener.events import Alert, Event, RankLost, RankStarted
from evener.membership import Generation, words
from evener.membership.generation import Ballot
from evener.orders import (
    Built,
    Done,
    Failed,
    Form,
    Halt,
    Hello,
    Order,
    Parked,
    Progress,
    Recall,
    Report,
    Take,
    Unparked,
    Wind,
)
from evener.probe.limits import quota_cpus
from evener.wire.channel import Channel

log = logging.getLogger(__name__)

STANDBY_TRIES = 3  # a standby that cannot live is a comfort to do without


@dataclass(frozen=True, slots=True)
class Voice:
    """Whom the crew speaks to: the record, membership, and whoever ends the run."""

    emit: Callable[[Event], None]
    forward: Callable[[dict[str, Any]], None]
    tell: Callable[[words.Input], None]
    end: Callable[[Over], None]
    tell_agents: Callable[[Letter], None]


class Crew:
    """The ranks of one agent, from their first process to the last one's end."""

    def __init__(
        self,
        me: str,
        host: str,
        job: Job,
        ranks: Ranks,
        voice: Voice,
        purpose: str = placement.TRAIN,
    ) -> None:
        self._me, self._host, self._config = me, host, job.membership
        self._compiles = job.train.compile
        self._ranks, self._voice, self._purpose = ranks, voice, purpose
        self.step = -1
        self._data_ready = False
        self._stopping = ""  # the reason, once a stop was asked for
        self._ended_elsewhere = False
        self._dismissed = False
        self._company = False  # ranks of other agents train with ours
        self._deaths = 0  # since the last step
        self._oom_kills = deaths.oom_kills()
        self._standby_tries = STANDBY_TRIES if job.membership.standby else 0
        self._pace = vigil.Pace()
        self._cpus = quota_cpus()
        self._clock = AwakeClock(time.monotonic())

    # ------------------------------------------------------------------------ what is asked

    def begin(self) -> None:
        self._tend()

    def data_ready(self) -> None:
        """Ranks may build: they take their numbers as they call."""
        self._data_ready = True
        self._tend()

    def halt(self, ballot: Ballot, urgent: bool) -> None:
        for process in self._ranks:
            if process.stage is Stage.UP:
                process.say(Halt(ballot, urgent))
                if urgent:
                    process.urge(ballot)

    def form(self, generation: Generation) -> None:
        self._company = any(m.agent != self._me for m in generation.members)
        for member in generation.members:
            if member.agent == self._me:
                process = self._ranks.holder(member.rank, member.life)
                if process is not None:
                    process.parked = False
                    process.say(Form(generation))

    def recall(self, ranks: Collection[int]) -> None:
        """Others think that these would help now. Ours among them come back, if they are parked."""
        for process in self._ranks:
            if process.slot is not None and process.slot.plan.rank in ranks:
                self._unpark(process)

    def wind(self, reason: str) -> None:
        """Stop all ranks at a common boundary. Who has no number yet has nothing to stop."""
        self._stopping = self._stopping or reason
        for process in self._ranks:
            if process.stage in (Stage.BUILDING, Stage.UP):
                process.say(Wind(reason))
            elif process.stage is not Stage.PARTED:
                process.child.kill()
        self._settle()

    def others_ended(self) -> None:
        """Another agent's ranks have ended their work: ours end theirs, or have nothing to do."""
        self._ended_elsewhere = True
        self._settle()

    def dismiss(self) -> None:
        """The run is over: who has said so ends by itself, or is parked and told now; the others
        are killed."""
        self._dismissed = True
        for process in self._ranks:
            if process.parked and process.stage is Stage.UP:
                process.say(Wind("the run is over"))
            elif process.stage is not Stage.PARTED:
                process.child.kill()

    def kill(self) -> None:
        self._dismissed = True
        for process in self._ranks:
            process.child.kill()

    @property
    def stopping(self) -> bool:
        return bool(self._stopping)

    @property
    def empty(self) -> bool:
        return not self._ranks.processes

    # -------------------------------------------------------------------------- what is heard

    def heard(self, channel: Channel, order: Order) -> None:
        """A process says something. Strangers, and what no rank says, are not listened to."""
        if isinstance(order, Hello):
            self._greet(channel, order)
            return
        process = self._ranks.speaking(channel)
        if process is None or process.slot is None:
            log.warning("%s says %s out of turn", channel.remote, type(order).__name__)
            channel.abort()
            return
        match order:
            case Report(records):
                for record in records:
                    self._voice.forward(record)
            case Built():
                self._built(process)
            case Done():
                self._done(process, process.slot, order)
            case Recall(ranks):
                self._voice.tell_agents(Return(self._me, ranks))
                self.recall(ranks)
            case Unparked():
                self._unpark(process)
            case Failed(error):
                process.stage = Stage.PARTED
                self._voice.end(Over(self._me, "failed", self.step, _what(error), error, True))
            case _:
                self._reacted(process, process.slot, order)

    def _greet(self, channel: Channel, hello: Hello) -> None:
        if self._ranks.greet(hello.pid, channel, hello.store_port) is None:
            log.warning(
                "%s says it is process %d, which is none of ours", channel.remote, hello.pid
            )
            channel.abort()
            return
        self._tend()

    def _built(self, process: RankProcess) -> None:
        if process.stage is Stage.BUILDING:
            process.stage = Stage.UP
            self._voice.tell(words.RankUp(self._ranks.member(process, self._host)))

    def _unpark(self, process: RankProcess) -> None:
        """To membership it is up once more."""
        if process.parked and process.stage is Stage.UP and not process.down:
            process.parked = False
            self._voice.tell(words.RankUp(self._ranks.member(process, self._host)))

    def _done(self, process: RankProcess, slot: Slot, done: Done) -> None:
        process.stage, slot.done = Stage.PARTED, done
        process.training = False
        self.step = max(self.step, done.step)
        self._settle()

    def _reacted(self, process: RankProcess, slot: Slot, order: Order) -> None:
        now = self._clock.at(time.monotonic())
        match order:
            case orders.Formed(ballot, step):
                process.training = True
                process.heart.begin(now)
                process.answered(ballot)
                self._pace.begin(step, now)
            case orders.Halted(ballot):
                process.training = False
                process.answered(ballot)
            case Parked():
                process.training, process.parked = False, True
            case orders.Broken(_, why):
                process.training = False
                log.info("rank %d: its group broke: %s", slot.plan.rank, why)
            case Progress(step):
                self._progress(step, now)
            case orders.Pulse(beats, resting):
                process.heart.heard(beats, resting, now)
        meaning = translate.to_input(order, slot.plan.rank, slot.life)
        if meaning is not None and process.stage is Stage.UP and not process.down:
            self._voice.tell(meaning)

    def _progress(self, step: int, now: float) -> None:
        self._pace.note(step, now)
        if step > self.step:
            first = self.step < 1 <= step
            self.step, self._deaths = step, 0
            if first:
                self._tend()  # the time has come for a standby

    # ------------------------------------------------------------------------- who is gone

    def left(self, channel: Channel) -> None:
        """A connection ended. Its process mostly did too; if not, it has a moment to."""
        process = self._ranks.speaking(channel)
        if process is None:
            return
        process.left = True
        if process.child.ended:
            self._gone(process)
        else:
            self._tell_down(process)

    def ended(self, child: Child) -> None:
        """A process ended. What it said last may still be on its way: first its line ends too."""
        process = self._ranks.of(child)
        if process is not None and (process.left or process.channel is None):
            self._gone(process)

    def tick(self, now: float) -> None:
        """Ends what does not end, answer or move by itself."""
        now = self._clock.tick(now)
        over = self._ended_elsewhere or self._ranks.through or self._dismissed
        view = vigil.View(
            now, self._config, self._pace, self.stopping, over, self._cpus, self._compiles
        )
        moving = [p for p in self._ranks if p.training and not p.child.suspended]
        for process in self._ranks:
            if process.child.ended:
                if process.lasts("ended", True, now) > vigil.DRAIN_S and process.channel:
                    process.channel.abort()
                continue
            others_move = self._company or any(p is not process for p in moving)
            verdict = vigil.judge(process, view, others_move=others_move)
            if verdict is None:
                process.acquit()
            else:
                process.condemn(verdict.why, verdict.stack, now)
        self._settle()

    def _tell_down(self, process: RankProcess) -> None:
        if process.stage is Stage.UP and not process.down and process.slot is not None:
            process.down = True
            self._voice.tell(words.RankDown(process.slot.plan.rank, process.slot.life))

    def _gone(self, process: RankProcess) -> None:
        self._tell_down(process)
        held = process.slot
        self._ranks.remove(process)
        if self._dismissed or process.stage is Stage.PARTED:
            return
        if held is None:
            self._idler_gone(process)
        else:
            self._lost(process, held)
        self._tend()
        self._settle()

    def _lost(self, process: RankProcess, slot: Slot) -> None:
        reason, out_of_memory = self._reason(process)
        self._voice.emit(RankLost(self._me, slot.plan.rank, reason))
        log.warning("rank %d is lost: %s", slot.plan.rank, reason)
        self._count_death(slot.plan.rank, reason, out_of_memory)

    def _idler_gone(self, process: RankProcess) -> None:
        """A process without a number is gone: the run's first, or a standby."""
        if self._leaving:
            return
        child, (reason, out_of_memory) = process.child, self._reason(process)
        needed = len(self._ranks.vacant) > len(self._ranks.free)
        killed = child.status < 0 and not process.verdict
        if not needed:
            self._standby_gone(reason)
        elif killed or process.stage is Stage.WARM:
            rank = self._ranks.vacant[0].plan.rank
            self._count_death(rank, reason, out_of_memory)
        else:
            how = process.verdict or f"ended with status {child.status} before it called"
            tail = child.tail(vigil.TAIL_LINES)
            self._fail(ending.not_started(how, tail, str(child.log)))

    def _standby_gone(self, reason: str) -> None:
        self._standby_tries -= 1
        text = f"the standby of agent {self._me} is gone ({reason})"
        if self._standby_tries <= 0:
            text += "; no other is started, a lost rank will take longer to replace"
        self._voice.emit(Alert("warning", text))

    def _count_death(self, rank: int, reason: str, out_of_memory: bool) -> None:
        self._deaths += 1
        if self._deaths > self._config.max_restarts and not self._leaving:
            args = (rank, self._deaths, reason, self._me, out_of_memory)
            self._fail(ending.lost_too_often(*args))

    def _reason(self, process: RankProcess) -> tuple[str, bool]:
        """Why it is gone, and whether for want of memory."""
        before, self._oom_kills = self._oom_kills, deaths.oom_kills()
        out_of_memory = process.child.status == -vigil.SIGKILL and self._oom_kills > before
        if process.verdict:
            return process.verdict, False
        tail = process.child.tail(1)
        last = tail[0] if tail else ""
        return deaths.describe(
            process.child.status, last, out_of_memory=out_of_memory
        ), out_of_memory

    # ---------------------------------------------------------------------------- upkeep

    @property
    def _leaving(self) -> bool:
        """No rank is started any more: the run is stopping, or its work is done."""
        over = self._ended_elsewhere or self._dismissed or self._ranks.through
        return over or bool(self._stopping)

    def _tend(self) -> None:
        if self._leaving:
            return
        for process in self._ranks.take() if self._data_ready else ():
            self._number(process)
        standby = self._standby_tries > 0 and self.step >= 1
        self._ranks.fill(standby, time.monotonic())

    def _number(self, process: RankProcess) -> None:
        slot = process.slot
        assert slot is not None
        plan = slot.plan
        how = (plan.threads, plan.device, plan.part, self._purpose)
        process.say(Take(plan.rank, slot.life, *how))
        self._voice.emit(RankStarted(self._me, plan.rank, slot.life, process.child.pid))
        log.info("process %d is rank %d, life %d", process.child.pid, plan.rank, slot.life)

    def _settle(self) -> None:
        """The end, once no rank of ours has work left. Told again and again: it may be too early
        for others."""
        if not self._leaving or self._dismissed or self._ranks.busy:
            return
        done = [s.done for s in self._ranks.slots if s.done is not None]
        self._voice.end(ending.from_done(self._me, done, self.step, self._stopping))

    def _fail(self, error: EvenerError) -> None:
        self._voice.end(ending.failed(self._me, self.step, error))


def _what(error: dict[str, Any]) -> str:
    return str(error.get("what", ""))
