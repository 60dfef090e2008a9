"""What an agent does about a torchrun script: a process per rank, anew with every generation.

It stands where `Crew` stands for evener's own ranks, and membership decides the same way who runs
together. A script cannot be halted or re-formed: to halt is to end its processes, to form is to
start them, told of each other as torchrun would. What they did since their own last checkpoint
is done again, as with torchrun. Called by the agent's loop only; nothing here waits.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from evener.agent import blame, deaths, ending, leftovers, torchrun
from evener.agent.blame import Failure
from evener.agent.child import Child
from evener.agent.listening import Listener
from evener.agent.outside import Outside
from evener.agent.reserve import Reserve
from evener.agent.stillness import Stillness
from evener.agent.team import Driven, team
from evener.agent.translate import Over, Reached, Still, Through, Told
from evener.agent.voice import Voice
from evener.agent.writers import Writers
from evener.config.schema import Job
from evener.errors import EvenerError
from evener.events import Alert, RankBuilt, RankLost, RankStarted
from evener.membership import Generation, words
from evener.membership.generation import Ballot
from evener.orders import Order
from evener.placement import AgentPlan
from evener.rundir.layout import RunDir
from evener.wire.channel import Channel

log = logging.getLogger(__name__)

OWN_S, ECHO_S = 2.0, 6.0  # for the news of somebody's death, before a failure counts
TELL_S = 0.5  # again and again: it may get lost
EXCHANGE_S = 20.0  # for files to come and go: below the patience of a ballot
BEGUN_S = 10.0  # without a step: by then a start is nearly over, and the next one is prepared
FORGIVEN_S = 600.0  # who lived for so long did not die of what others died of before
TAIL_LINES = 5


class Exchange(Protocol):
    """`Courier.exchange`: bring a script's files home, fetch others'; is it done?"""

    def __call__(self, *, fetch: bool) -> Callable[[], bool]: ...


@dataclass(frozen=True, slots=True)
class Errand:
    """What waits for an exchange of files, not for ever."""

    done: Callable[[], bool]
    until: float
    then: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Setting:
    """Of one agent: `start` starts the script, with what it is told in its environment; `reserve`
    has processes that are warm; `exchange` brings the script's files home, and fetches others';
    `outside` looks for what nobody brings."""

    agent: AgentPlan
    host: str
    run: RunDir
    start: Callable[[Driven, Mapping[str, str]], Child]
    reserve: Reserve
    exchange: Exchange
    outside: Outside


class Drover:
    """The script's processes of one agent, from the first start to the end."""

    def __init__(
        self, job: Job, setting: Setting, voice: Voice, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._me, self._setting, self._voice = setting.agent.agent, setting, voice
        self._most_deaths, self._stop_s = job.membership.max_restarts, job.script.stop_s
        self._team, self._reserve = team(setting.agent, setting.host), setting.reserve
        self._waiting: list[Driven] = []  # for a warm process, before they count as up
        self._fill_at = math.inf
        self._generation: Generation | None = None
        self._starts, self._leads = 0, False
        self._through: set[str] = set()  # other agents whose part of this generation is done
        self._said: list[words.Input] = []  # to membership, which is just speaking to us
        self._failures: set[tuple[str, str]] = set()  # that came to nothing, so far
        self._deaths, self._best = 0, 0
        self._inquest = deaths.Inquest()
        self._listener = Listener(job, setting.run, voice.emit)
        self._stillness = Stillness(job.script.quiet_s, voice.emit)
        folder = Path(os.path.normpath(setting.run.configs / job.script.folder))
        self._writers = Writers(folder.resolve(), voice.emit)
        self._stop_reason, self._stop_by = "", 0.0
        self._ended_elsewhere = self._dismissed = False
        self._tell_at, self._noted = 0.0, False
        self._errand: Errand | None = None

    # ------------------------------------------------------------------------ what is asked

    def begin(self) -> None:
        """Processes grow warm first: those who train are not halted for one that is not."""
        self._reserve.fill(self._team)

    def data_ready(self) -> None:
        self._waiting = list(self._team)
        self._tell_up()

    def _tell_up(self) -> None:
        """All at once: each start of the script on its own would be one more for everybody."""
        if all(map(self._reserve.is_ready, self._waiting)):
            waiting, self._waiting = self._waiting, []
            for driven in waiting:
                self._voice.tell(words.RankUp(driven.member))

    def halt(self, ballot: Ballot, urgent: bool) -> None:
        """Whose group breaks is killed; before a machine joins, a script may save what it has."""
        for driven in self._team:
            driven.halting = ballot
            if driven.child is None:
                continue
            if urgent:
                driven.child.kill()
            else:
                driven.child.terminate()
                driven.kill_at = self._clock() + self._stop_s
        self._stand()

    def _stand(self) -> None:
        """All of ours stand once none runs, and what they wrote is home."""
        if self._stands and any(driven.halting for driven in self._team):
            self._send(self._say_halted, fetch=False)

    def _send(self, then: Callable[[], None], *, fetch: bool) -> None:
        done = self._setting.exchange(fetch=fetch)
        self._errand = Errand(done, self._clock() + EXCHANGE_S, then)

    def _say_halted(self) -> None:
        self._said += [driven.halted() for driven in self._team if driven.halting]

    def form(self, generation: Generation) -> None:
        log.info("generation %s: ranks %s", generation.ballot, generation.ranks)
        self._generation, self._through = generation, set()
        for driven in self._team:
            if driven.failure is not None and not driven.failure.echo:
                self._failures.add(driven.failure.key)
            driven.stand_by()
            if driven.member in generation.members:
                driven.ballot = generation.ballot
                self._said.append(driven.formed())
        self._send(partial(self._start_all, generation), fetch=True)

    def _start_all(self, generation: Generation) -> None:
        if self._dismissed or self.stopping:
            return
        own = (self._setting.run.name, self._starts, self._most_deaths)
        starting = [
            (driven, torchrun.told(generation, driven.member, *own))
            for driven in self._team
            if driven.member in generation.members
        ]
        for driven, told in starting if self._starts else ():
            driven.note(self._setting.run.rank_log(driven.plan.rank), torchrun.again(told))
        self._leads = generation.members[0].agent == self._me  # and hears the first word
        self._listener.begin(generation if self._leads else None, self._clock())
        for driven, told in starting:
            self._start(driven, told)
        self._starts += 1
        self._fill_at = self._clock() + BEGUN_S
        self._stillness.begin(self._clock())

    def _start(self, driven: Driven, told: Mapping[str, str]) -> None:
        number = driven.plan.rank
        child = self._reserve.take(driven, told) or self._setting.start(driven, told)
        driven.begin(child, self._clock())
        self._voice.emit(RankStarted(self._me, number, self._starts, child.pid))
        self._voice.emit(RankBuilt(number, driven.plan.device, driven.plan.threads, 0))

    def told(self, letter: Told) -> None:
        """Another agent says something about its processes."""
        match letter:
            case Through(sender, ballot) if self._generation and self._generation.ballot == ballot:
                self._through.add(sender)
            case Reached(_, step) if not self._leads:
                self._listener.step = step
            case Still():
                self._stillness.ask(self._team, self._clock())

    def wind(self, reason: str) -> None:
        """The run stops: scripts hear SIGTERM, and have their time."""
        if not self._stop_reason:
            self._stop_reason, self._stop_by = reason, self._clock() + self._stop_s
            self._reserve.dismiss()
            for driven in self._team:
                if driven.child is not None:
                    driven.child.terminate()
        self._settle()

    def save(self) -> None:
        text = "a torchrun script writes its own checkpoints: nobody else can tell it to"
        self._voice.emit(Alert("note", text))

    def others_ended(self) -> None:
        self._ended_elsewhere = True
        self.wind("the run is over")

    def dismiss(self) -> None:
        own = {d.child.pid for d in self._team if d.child is not None}
        left = leftovers.alert(str(self._setting.run.path), own | self._reserve.pids)
        if left is not None and not self._dismissed:
            self._voice.emit(left)
        self.kill()

    def kill(self) -> None:
        """No start comes after this: ports are let go, too."""
        self._dismissed = True
        self._reserve.dismiss()
        for driven in self._team:
            driven.held.close()
            if driven.child is not None:
                driven.child.kill()

    @property
    def stopping(self) -> bool:
        return bool(self._stop_reason)

    @property
    def empty(self) -> bool:
        return self._stands and self._reserve.empty

    @property
    def _stands(self) -> bool:
        return all(driven.child is None for driven in self._team)

    @property
    def step(self) -> int:
        return self._listener.step

    # -------------------------------------------------------------------------- what is heard

    def heard(self, channel: Channel, order: Order) -> None:
        """A script knows nothing of us."""
        channel.abort()

    def left(self, channel: Channel) -> None:
        """Nor was it one who left."""

    def ended(self, child: Child) -> None:
        driven = next((d for d in self._team if d.child is child), None)
        if driven is None:
            self._reserve.ended(child)
            return
        driven.child = None
        word = blame.word_left(driven.word(self._setting.run))
        if self._dismissed or self.stopping:
            self._settle()
        elif driven.halting is not None:
            self._stand()
        elif child.status == 0:
            driven.through = True
        elif child.status < 0 and not blame.is_abort(child.status):
            self._lost(driven, *self._inquest.of_child(child))
        else:
            failure = blame.of(child.status, word, child.tail(TAIL_LINES), child.log)
            driven.fail(failure, self._clock())

    def tick(self, now: float, generation: Generation | None, alive: Collection[str]) -> None:
        if self._errand is not None and (self._errand.done() or now >= self._errand.until):
            errand, self._errand = self._errand, None
            errand.then()
        self._say()
        self._tell_up()
        self._listener.listen(now)
        if self.step > self._best:
            self._best, self._deaths = self.step, 0
            self._fill_at = min(self._fill_at, now)
        if self._leads and self._stillness.look(self._team, now):
            self._voice.tell_agents(Still(self._me))
        self._stillness.tell(self._team, now)
        self._writers.look(self._team, now)
        self._setting.outside.look(now)
        if now >= self._tell_at:
            self._tell_at = now + TELL_S
            self._speak()
        for driven in self._team:
            if driven.child is not None and now >= driven.kill_at:
                driven.child.kill()
            if driven.failure is not None and driven.halting is None:
                self._weigh(driven, driven.failure, now)
        if self.stopping:
            self._settle()
        else:
            self._refill(now)
            self._part(now)

    def _refill(self, now: float) -> None:
        """Once the script is on its way again, which is when there is time for it."""
        if now >= self._fill_at and not self._dismissed:
            self._fill_at = math.inf
            self._reserve.fill(self._team)

    def _speak(self) -> None:
        """What other agents are to know of us; it may get lost, so they hear it again."""
        ours = self._generation
        if self._leads and self.step:
            self._voice.tell_agents(Reached(self._me, self.step))
        if ours is not None and self._is_through(ours) and not self.stopping:
            self._voice.tell_agents(Through(self._me, ours.ballot))

    def _say(self) -> None:
        said, self._said = self._said, []
        for each in said:
            self._voice.tell(each)

    # -------------------------------------------------------------------------- losses

    def _weigh(self, driven: Driven, failure: Failure, now: float) -> None:
        """A failure that nobody's death explains in time is the script's own; so is one that
        comes again. An echo without a cause is a lost connection: all start again."""
        again = not failure.echo and failure.key in self._failures
        if not again and now < driven.ended_at + (ECHO_S if failure.echo else OWN_S):
            return
        driven.failure = None
        if failure.echo:
            self._lost(driven, failure.error.what.splitlines()[0], out_of_memory=False)
        else:
            self._fail(failure.error)

    def _lost(self, driven: Driven, reason: str, out_of_memory: bool) -> None:
        rank, now = driven.plan.rank, self._clock()
        log.warning("rank %d is lost: %s", rank, reason)
        self._voice.emit(RankLost(self._me, rank, reason))
        if now - driven.began_at > FORGIVEN_S:
            self._deaths = 0
        self._deaths += 1
        if self._deaths > self._most_deaths:
            self._fail(ending.lost_too_often(rank, self._deaths, reason, self._me, out_of_memory))
        else:
            self._voice.tell(driven.broken())

    # ----------------------------------------------------------------------------- the end

    def _part(self, now: float) -> None:
        """Our part is done when all of our processes are; the run, when that holds everywhere."""
        ours = self._generation
        if ours is None or not self._is_through(ours):
            return
        if {*ours.agents} <= {self._me, *self._through}:
            self._listener.finish(now)
            if (note := self._listener.unheard()) and not self._noted:
                self._voice.emit(Alert("note", note))
            self._noted = True
            self._voice.end(Over(self._me, "finished", self.step))

    def _is_through(self, generation: Generation) -> bool:
        mine = [d for d in self._team if d.member in generation.members]
        return bool(mine) and all(d.through and d.halting is None for d in mine)

    def _settle(self) -> None:
        """The end, once nothing runs any more. Told again and again: others may have to come."""
        now = self._clock()
        if not self._stands:
            if now >= self._stop_by:
                for driven in self._team:
                    if driven.child is not None:
                        driven.child.kill()
            return
        if self._dismissed:
            return
        self._listener.finish(now)
        ours = self._generation
        if self._ended_elsewhere and ours is not None and self._is_through(ours):
            self._voice.end(Over(self._me, "finished", self.step))
        else:
            self._voice.end(Over(self._me, "stopped", self.step, self._stop_reason))

    def _fail(self, error: EvenerError) -> None:
        self._listener.finish(self._clock())
        self._voice.end(ending.failed(self._me, self.step, error))
