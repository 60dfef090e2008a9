"""What an agent does about its ranks: number them, replace the dead, halt, form and stop them.

Called by the agent's loop only, one thing at a time; nothing here waits. Time is the agent's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection

from evener import orders
from evener.agent import ending, translate, vigil
from evener.agent.child import Child
from evener.agent.heart import AwakeClock
from evener.agent.losses import Losses
from evener.agent.ranks import RankProcess, Ranks, Slot, Stage
from evener.agent.translate import Idle, Return, Stumbled, Told
from evener.agent.voice import Voice
from evener.config.schema import Job
from evener.errors import EvenerError, from_dict
from evener.events import RankStarted
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
    Save,
    Take,
    Unparked,
    Wind,
)
from evener.probe.limits import quota_cpus
from evener.wire.channel import Channel

log = logging.getLogger(__name__)


class Crew:
    """The ranks of one agent, from their first process to the last one's end."""

    def __init__(
        self, me: str, host: str, job: Job, ranks: Ranks, voice: Voice, purpose: str
    ) -> None:
        self._me, self._host, self._config = me, host, job.membership
        self._ranks, self._voice, self._purpose = ranks, voice, purpose
        self._losses, self._compiles = Losses(me, job, ranks, voice), job.train.compile
        self.step = -1
        self._data_ready = False
        self._stopping = ""  # the reason, once a stop was asked for
        self._ended_elsewhere = False
        self._dismissed = False
        self._company = False  # ranks of other agents train with ours
        self._idle: set[str] = set()  # agents that train nothing, and said so
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
        log.info("generation %s: ranks %s", generation.ballot, generation.ranks)
        self._company = any(m.agent != self._me for m in generation.members)
        self._idle -= {*generation.agents}
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

    def told(self, letter: Told) -> None:
        """Another agent says something about its ranks, or ours."""
        match letter:
            case Return(_, ranks):
                self.recall(ranks)
            case Idle(agent):
                self._idle.add(agent)
            case Stumbled(_, code, place):
                error = self._losses.failed_elsewhere(code, place)
                if error is not None:
                    self._fail(error)

    def wind(self, reason: str) -> None:
        """Stop all ranks at a common boundary. Who has no number yet has nothing to stop."""
        self._stopping = self._stopping or reason
        for process in self._ranks:
            if process.stage in (Stage.BUILDING, Stage.UP):
                process.say(Wind(reason))
            elif process.stage is not Stage.PARTED:
                process.child.kill()
        self._settle()

    def save(self) -> None:
        """A person wants a checkpoint now: ranks that train write one, the leading one of them."""
        for process in self._ranks:
            if process.stage is Stage.UP:
                process.say(Save())

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
            case Built(_, _, batch):
                self._losses.batch = batch or self._losses.batch
                self._built(process)
            case Done():
                self._done(process, process.slot, order)
            case Recall(ranks):
                self._voice.tell_agents(Return(self._me, ranks))
                self.recall(ranks)
            case Unparked():
                self._unpark(process)
            case Failed(error):
                self._failed(process, from_dict(error))
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

    def _failed(self, process: RankProcess, error: EvenerError) -> None:
        if self._losses.failed(error, process, self._others_train(process)):
            process.verdict = f"failed: {error.what}"  # it ends by itself
        else:
            process.stage = Stage.PARTED
            self._fail(error)

    def _done(self, process: RankProcess, slot: Slot, done: Done) -> None:
        process.stage, slot.done = Stage.PARTED, done
        process.training = False
        self.step = max(self.step, done.step)
        self._settle()

    def _reacted(self, process: RankProcess, slot: Slot, order: Order) -> None:
        now = self._clock.at(time.monotonic())
        match order:
            case orders.Formed(ballot, step):
                process.joined(now)
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
            case Progress(step, samples):
                slot.samples = samples
                self._progress(step, now)
            case orders.Afterwards():
                process.afterwards = True
            case orders.Pulse(beats, resting):
                process.heart.heard(beats, resting, now)
        meaning = translate.to_input(order, slot.plan.rank, slot.life)
        if meaning is not None and process.stage is Stage.UP and not process.down:
            self._voice.tell(meaning)

    def _progress(self, step: int, now: float) -> None:
        self._pace.note(step, now)
        if step > self.step:
            first = self.step < 1 <= step
            self.step = step
            self._losses.progressed()
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

    def tick(self, now: float, generation: Generation | None, alive: Collection[str]) -> None:
        """Ends what does not end, answer or move by itself."""
        now = self._clock.tick(now)
        self._company = ending.others_train(generation, {*alive} - self._idle, self._me)
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
        if self._ranks.rouse(now, alone=not self._others_train()):
            self._tend()
        self._settle()

    def _others_train(self, process: RankProcess | None = None) -> bool:
        """Whether any rank but `process` does, or will when its group stands again."""
        return self._company or any(p.counts for p in self._ranks if p is not process)

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
        error = None
        if held is not None:
            now = self._clock.at(time.monotonic())
            error = self._losses.lost(process, held, self._others_train(), now)
        elif not self._leaving:
            error = self._losses.idler(process)
        if error is not None and not self._leaving:
            self._fail(error)
        self._tend()
        self._settle()

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
        self._ranks.fill(self._losses.standby and self.step >= 1, time.monotonic())

    def _number(self, process: RankProcess) -> None:
        slot = process.slot
        assert slot is not None
        plan = slot.plan
        least, most = (min(bound, slot.most) for bound in plan.part)
        how = (plan.threads, plan.device, (least, most), self._purpose)
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
