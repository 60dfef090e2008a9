"""The agent of one machine: one loop that hears everything and answers it, one thing at a time.

What happens (a rank speaks or dies, another agent speaks or dies, a signal comes) is put into one
inbox and handled in order, without waiting: membership decides about groups, the crew about
processes, this file about the end. It can only fail as a whole, and then its ranks die with it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from evener import contract, orders, versions
from evener.agent import causeway, ending, errands, translate
from evener.agent.admission import Admission, Refusal
from evener.agent.child import Child, Programs
from evener.agent.company import UNSEEN_S, Company
from evener.agent.courier import Courier
from evener.agent.departure import AWAY, Departure, Move
from evener.agent.door import door
from evener.agent.inbox import TICK_S, Inbox
from evener.agent.outfit import Crew, Place, crew_of
from evener.agent.peers import Peers, addresses
from evener.agent.prepare import Prepared
from evener.agent.revival import Past, look_back
from evener.agent.signals import LEAVE_SIGNAL, hearing_signals
from evener.agent.standin import STAY_S, StandIn
from evener.agent.translate import Away, Left, Letter, Over, Stop, Told
from evener.agent.voice import Voice
from evener.config.schema import Job
from evener.contract import AgentEnv
from evener.errors import EvenerError
from evener.events import AgentEnded, Alert, DataPrepared, StopAsked
from evener.membership import Generation, Membership, words
from evener.placement import Plan
from evener.rundir.layout import RunDir
from evener.wire.channel import Channel, serve
from evener.wire.frames import Frame, FrameError

log = logging.getLogger(__name__)

ANNOUNCE_S = 0.5
PART_S, KILLED_S = 10.0, 5.0  # for ranks that are done to write their last words and end
RECORD_S = 60.0  # for a lower agent to end its ranks too and to record the end
FLUSH_S = 5.0  # for the head to take the last events; the spool keeps what it does not


class Agent:
    """One agent's life: `run` it once."""

    def __init__(self, env: AgentEnv, job: Job, plan: Plan, sink: errands.Sink, programs: Programs,
                 *, courier: Courier, standin: StandIn) -> None:  # fmt: skip
        self._env, self._job, self._plan, self._sink = env, job, plan, sink
        self._courier, self._standin, self._programs = courier, standin, programs
        self._run = RunDir(Path(env.run_dir))
        self._peer_addresses = addresses(env.peers)
        self._inbox = Inbox(self._tick, self._fail)
        self._membership = Membership(
            env.agent,
            translate.settings(job.membership),
            expected_agents=env.expected_agents,
            expected_ranks=len(plan.ranks),
            peers=tuple(self._peer_addresses),
            now=time.monotonic(),
        )
        self._generation: Generation | None = None
        self._over: Over | None = None
        self._theirs: Over | None = None  # what another agent says about the end
        self._left: Left | None = None  # the run goes on without this agent
        self._unfit: EvenerError | None = None  # what keeps this machine from training
        self._company = Company(env.agent, self._peer_addresses, time.monotonic())
        self._departure = Departure(env.agent)
        self._missing = {"data", "past"} if env.revived else {"data"}
        self._admission = Admission(plan, env.agent, versions.installed())
        self._signals, self._recorded, self._next_announcement_s, self._address = 0, False, 0.0, ""
        self._crew: Crew
        self._peers: Peers

    async def run(self) -> Over | Left:
        """From the first process to the last: returns how the run ended, or that it goes on."""
        me, secret = self._env.agent, self._env.secret
        async with serve(await door(self._env), secret, self._welcome, self._hello) as server:
            self._address = server.address
            self._peers = Peers(me, self._hello, secret, self._peer_addresses, self)
            self._crew = self._make_crew()
            async with self._peers:
                with hearing_signals(lambda name: self._inbox.post(partial(self._signalled, name))):
                    try:
                        self._begin()
                        await self._inbox.pump(lambda: (self._over or self._left) is not None)
                        return await (self._close() if self._left is None else self._part())
                    finally:
                        await self._drop_everything()

    def _begin(self) -> None:
        self._inbox.post(self._crew.begin)
        env, run, sink, spawn = self._env, self._run, self._sink, self._inbox.spawn
        spawn(errands.watch_machine(env.agent, run, sink))
        told = env.agent, run, self._programs.prepare, self._plan.env, sink.put
        spawn(errands.prepare_data(*told), self._prepared)
        if env.revived:
            asked = sink.address, env.secret, self._company, self._admission.names, sink.put
            spawn(look_back(*asked), self._remember)

    def _make_crew(self) -> Crew:
        letters, ended = self._peers.broadcast, self._child_ended
        voice = Voice(self._sink.put, self._sink.forward, self._tell, self._end, letters)
        place = Place(self._env, self._address, self._plan, self._programs, ended, self._courier)
        return crew_of(self._job, place, voice)

    # ---------------------------------------------------------------------------- the loop

    def _tick(self, now: float) -> None:
        self._crew.tick(now, self._generation, self._membership.alive)
        self._tell(words.Tick())
        self._depart(now)
        if self._unfit and (others := self._company.trains(now)) is not None:
            (self._refused if others else self._fail)(self._unfit)
        for ask in self._sink.asks():
            self._obey_page(ask)
        if self._over is not None:
            self._announce(replace(self._over, sender=self._env.agent), now)

    def _announce(self, letter: Letter, now: float) -> None:
        """Again and again: it may get lost."""
        if now >= self._next_announcement_s:
            self._next_announcement_s = now + ANNOUNCE_S
            self._peers.broadcast(letter)

    def _tell(self, happened: words.Input) -> None:
        """Tell membership, and do what it asks for."""
        for output in self._membership.handle(happened, time.monotonic()):
            match output:
                case words.Send(to, message):
                    self._peers.send(to, message)
                case words.HaltRanks(ballot, urgent):
                    self._crew.halt(ballot, urgent)
                case words.FormRanks(generation):
                    self._crew.form(generation)
                case words.LeftOut() | words.Rests():
                    self._sink.put(self._admission.names.told(output))
        before, self._generation = self._generation, self._membership.current
        self._standin.joined(self._generation, self._peers.doors)
        alive, names = self._membership.alive, self._admission.names
        if before is not self._generation and not self._departure.together:  # where none is lost
            for lost in ending.lost_with_agents(before, self._generation, alive, names):
                self._sink.put(lost)

    # --------------------------------------------------------------------- who speaks to us

    async def _welcome(self, channel: Channel) -> None:
        role = channel.peer.get("role")
        if role == "rank" and channel.peer.get("agent") == self._env.agent:
            if (error := self._admission.unlike(channel.peer)) is None:
                await self._listen(channel)
            else:
                self._inbox.post(partial(self._unlike, error))
        elif role == "agent":
            await self._peers.accept(channel)
        elif role == causeway.ROLE:
            await self._standin.receive(channel)
        elif role != "launcher":  # that one only asks whether we are there
            log.warning("%s calls with the role %r", channel.remote, role)

    async def _listen(self, channel: Channel) -> None:
        try:
            async for frame in channel:
                self._inbox.post(partial(self._crew.heard, channel, orders.from_dict(frame)))
                while self._inbox.crowded:
                    await asyncio.sleep(TICK_S)
        except (ValueError, FrameError) as error:
            log.warning("%s is not understood: %s", channel.remote, error)
        finally:
            self._inbox.post(partial(self._crew.left, channel))

    def letter(self, letter: Letter) -> None:
        self._inbox.post(partial(self._read, letter))

    def death(self, agent: str) -> None:
        self._inbox.post(partial(self._tell, words.PeerLost(agent)))

    def presence(self, agent: str, here: bool) -> None:
        """Through the inbox as well: who leaves is gone after what it said last, not before."""
        self._inbox.post(partial(self._seen, agent, here))

    def _seen(self, agent: str, here: bool) -> None:
        self._company.seen(agent, here)
        if here:
            self._departure.returned(agent)

    @property
    def _leads(self) -> bool:
        return self._company.leads(time.monotonic())

    def _hello(self) -> Frame:
        hello = self._admission.hello(trains=self._generation is not None, leads=self._leads)
        return hello | {"address": self._address}

    def admits(self, said: Frame, heard: Frame) -> bool:
        match self._admission.judge(said, heard):
            case Refusal(agent, error) if agent == self._env.agent:
                self._inbox.post(partial(self._refused, error))
            case Refusal(agent, error):
                self._inbox.post(partial(self._turn_away, agent, error))
            case welcome:
                return welcome
        return False

    def _refused(self, error: EvenerError) -> None:
        """The run goes on without this agent. It says so itself: once, whoever refused it."""
        if not (self._left or self._over):
            self._sink.put(ending.goes_on_without(self._admission.names, error))
        self._leave(Left(error))

    def _turn_away(self, agent: str, error: EvenerError) -> None:
        if self._company.turn_away(agent):
            log.warning("%s", error)
            ranks = sum(len(a.ranks) for a in self._plan.agents if a.agent == agent)
            self._tell(words.TurnedAway(agent, ranks))

    def _unlike(self, error: EvenerError) -> None:
        """A rank of ours imported what this machine does not say it has."""
        (self._refused if self._company.alive(time.monotonic()) else self._fail)(error)

    def _child_ended(self, child: Child) -> None:
        self._inbox.post(partial(self._crew.ended, child))

    def _read(self, letter: Letter) -> None:
        match letter:
            case Stop(_, reason):
                self._stop(reason)
            case Away(agent):
                self._departure.goes(agent)
                self._depart(time.monotonic())  # before it says goodbye
            case Over():
                self._heard_over(letter)
            case _ if isinstance(letter, Told):
                self._crew.told(letter)
            case _:
                self._company.heard(letter)
                self._tell(words.Heard(letter))

    def _heard_over(self, over: Over) -> None:
        self._recorded = self._recorded or over.recorded
        self._theirs = ending.weightier(self._theirs, over)
        if over.at_once:
            self._end(over)
        else:
            self._crew.others_ended()

    def _prepared(self, result: Prepared) -> None:
        self._unfit = result.error
        if result.samples:
            self._sink.put(DataPrepared(self._env.agent, *result.counts, result.seconds))
        if self._unfit is None:
            self._missing.discard("data")
            self._get_ready()

    def _get_ready(self) -> None:
        """Ranks take their numbers: nothing is missing that they, or their record, stand on."""
        if not self._missing:
            self._crew.data_ready()

    # ------------------------------------------------------------------------------ the end

    def _signalled(self, name: str) -> None:
        log.info("%s", name)
        returns = name == contract.AWAY_SIGNAL
        self._signals += not returns
        if returns or (name == LEAVE_SIGNAL and not self._crew.stopping):
            self._go_away(returns=returns)
        elif self._over is None:
            me, step = self._env.agent, self._crew.step
            reason = f"asked to stop ({name} to agent {me})"
            if self._signals == 1:
                self._ask_to_stop(reason)
            else:
                self._end(Over(me, "stopped", step, f"{reason}, twice", at_once=True))

    def _obey_page(self, what: str) -> None:
        if what == "checkpoint":
            self._crew.save()
        elif what == "stop" and not (self._over or self._crew.stopping):
            self._ask_to_stop("asked to stop on the run's page")

    def _ask_to_stop(self, reason: str) -> None:
        self._sink.put(StopAsked(reason))
        self._peers.broadcast(Stop(self._env.agent, reason))
        self._stop(reason)

    def _stop(self, reason: str) -> None:
        self._departure.call_off()
        self._wind(reason)

    def _wind(self, reason: str) -> None:
        """Nobody waits for data any more; the crew stops at a boundary."""
        self._inbox.cancel()
        self._crew.wind(reason)

    def _go_away(self, *, returns: bool) -> None:
        """Unless the run ends anyway."""
        if not (self._over or self._theirs or self._crew.stopping):
            if news := self._departure.begin(time.monotonic(), returns=returns):
                self._sink.put(Alert("note", f"{self._admission.names.of(self._env.agent)} {news}"))
                self._peers.broadcast(Away(self._env.agent))
            self._depart(time.monotonic())

    def _depart(self, now: float) -> None:
        training = {*g.agents} if (g := self._generation) else self._company.everybody(now)
        match self._departure.move(training, now):
            case Move.STOP if self._departure.returns:
                self._wind(AWAY)
            case Move.STOP:
                self._ask_to_stop(f"asked to stop ({LEAVE_SIGNAL} to all who train)")
            case Move.LEAVE:
                self._leave(Left(returns=self._departure.returns))

    def _remember(self, past: Past | None) -> None:
        """We are started again: the run may be over, or others have counted generations."""
        if past is not None and past.over:
            self._leave(Left())
            return
        if past is not None:
            self._tell(words.Past(past.generation))
        self._missing.discard("past")
        self._get_ready()

    def _leave(self, left: Left) -> None:
        if self._over is None:
            self._left = self._left or left

    def _end(self, over: Over) -> None:
        if self._departure.together and over.outcome == "stopped" and not over.at_once:
            self._leave(Left(returns=True))
            return
        others = self._membership.alive, self._company.trains(now := time.monotonic())
        if not self._theirs and ending.known_elsewhere(over, self._generation, *others):
            self._announce(Stop(self._env.agent, over.reason), now)
            return  # the crew says it again
        for known in (over, self._theirs):
            if known is not None and not (self._over and self._recorded):
                self._over = ending.weightier(self._over, known)

    def _fail(self, error: EvenerError) -> None:
        self._end(ending.failed(self._env.agent, self._crew.step, error))

    async def _close(self) -> Over:
        """Ranks end, one agent records the end, all learn of it. Each wait is bounded."""
        me = self._env.agent
        assert self._over is not None
        log.info("the run is over: %s %s", self._over.outcome, self._over.reason)
        if not self._over.at_once and self._crew.step >= 0:
            self._inbox.handle(partial(self._tell, words.RunDone()))
        await self._empty()
        await self._wait(lambda: self._recorded or self._leads, RECORD_S)
        if not self._recorded:
            self._sink.put(ending.to_event(self._over))
            self._recorded = True
        await self._inbox.beside(partial(self._sink.flush, FLUSH_S))
        await self._wait(lambda: not self._company.awaited(time.monotonic()), UNSEEN_S)
        self._peers.broadcast(replace(self._over, sender=me, recorded=True))
        self._peers.broadcast(words.Goodbye(me, done=True))
        await self._wait(lambda: not self._standin.hosts, STAY_S)
        self._sink.put(AgentEnded(me))
        return self._over

    async def _part(self) -> Left:
        """The run may go on, but this agent's part in it is over, at least for now."""
        assert self._left is not None
        log.info("this agent leaves the run")
        await self._empty()
        self._peers.broadcast(words.Goodbye(self._env.agent, done=False))
        if not self._left.returns:
            self._sink.put(AgentEnded(self._env.agent))
        await self._inbox.beside(partial(self._sink.flush, FLUSH_S))
        return self._left

    async def _empty(self) -> None:
        self._inbox.hush()
        self._crew.dismiss()
        await self._wait(lambda: self._crew.empty, PART_S)
        self._crew.kill()
        await self._wait(lambda: self._crew.empty, KILLED_S)
        await self._inbox.beside(self._courier.finish)

    async def _wait(self, until: Callable[[], bool], timeout_s: float) -> None:
        """Patience ends with a second signal too."""
        await self._inbox.pump(lambda: until() or self._signals > 1, timeout_s)

    async def _drop_everything(self) -> None:
        """Whatever happened before: no process and no task of ours stays."""
        self._crew.kill()
        await self._inbox.close()
        await self._inbox.pump(lambda: self._crew.empty, KILLED_S)
