"""The agent of one machine: one loop that hears everything and answers it, one thing at a time.

What happens (a rank speaks or dies, another agent speaks or dies, a signal comes) is put into one
inbox and handled in order, without waiting: membership decides about groups, the crew about
processes, this file about the end. It can only fail as a whole, and then its ranks die with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from evener import cluster, contract, orders
from evener.agent import ending, translate
from evener.agent.child import Child
from evener.agent.crew import Crew, Voice
from evener.agent.door import door
from evener.agent.environment import rank_environment
from evener.agent.peers import Peers
from evener.agent.prepare import Prepared, prepare
from evener.agent.ranks import Ranks
from evener.agent.signals import hearing_signals
from evener.agent.translate import Letter, Over, Stop
from evener.config.schema import Job
from evener.contract import AgentEnv, RankEnv
from evener.errors import EvenerError
from evener.events import (
    AgentEnded,
    Alert,
    DataPrepared,
    Event,
    MachineSeen,
    StopAsked,
)
from evener.membership import Generation, Membership, words
from evener.placement import Plan
from evener.probe import interface_of, probe
from evener.rundir.layout import RunDir
from evener.wire.channel import Channel, serve
from evener.wire.frames import FrameError, split_address

log = logging.getLogger(__name__)

TICK_S = 0.05
INBOX = 1000  # above it ranks and agents wait with what they say
ANNOUNCE_S = 0.5
PART_S = 10.0  # for ranks that are done to write their last words and end
KILLED_S = 5.0
RECORD_S = 60.0  # for a lower agent to end its ranks too and to record the end
UNSEEN_S = 10.0  # for an agent that started when we did to be there
FLUSH_S = 5.0  # for the head to take the last events; the spool keeps what it does not

Happening = Callable[[], None]


class Sink(Protocol):
    """Where events go: `wire.outbox.Outbox`."""

    def put(self, event: Event) -> None: ...

    def forward(self, record: dict[str, Any]) -> None: ...

    def flush(self, timeout_s: float) -> bool: ...


@dataclass(frozen=True, slots=True)
class Programs:
    """What an agent starts. -P: no file of the user's folder stands in for a module."""

    rank: tuple[str, ...] = (sys.executable, "-P", "-m", "evener.engine")
    prepare: tuple[str, ...] = (sys.executable, "-P", "-m", "evener.data.prepare")


class Agent:
    """One agent's life: `run` it once."""

    def __init__(
        self, env: AgentEnv, job: Job, plan: Plan, sink: Sink, programs: Programs | None = None
    ) -> None:
        self._env, self._job, self._plan, self._sink = env, job, plan, sink
        self._programs = programs or Programs()
        self._run = RunDir(Path(env.run_dir))
        self._peer_addresses = _read_peers(env.peers)
        self._inbox: asyncio.Queue[Happening] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
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
        self._recorded = False
        self._present: set[str] = set()  # agents that we are connected with
        self._unseen = set(self._peer_addresses)  # those that never were
        self._gone: set[str] = set()  # those that said goodbye
        self._born_at = time.monotonic()
        self._signals = 0
        self._next_tick_s = self._next_announcement_s = 0.0
        self._address = ""
        self._crew: Crew
        self._peers: Peers

    async def run(self) -> Over:
        """From the first process to the last: returns how the run ended."""
        hello = {"role": "agent", "agent": self._env.agent}
        async with serve(await door(self._env), self._env.secret, self._welcome, hello) as server:
            self._address = server.address
            self._crew = self._make_crew()
            hello = hello | {"address": server.address}
            self._peers = Peers(hello, self._env.secret, self._peer_addresses, self)
            async with self._peers:
                with hearing_signals(lambda name: self._post(partial(self._signalled, name))):
                    try:
                        self._begin()
                        await self._pump(lambda: self._over is not None)
                        return await self._close()
                    finally:
                        await self._drop_everything()

    def _begin(self) -> None:
        self._post(self._crew.begin)
        self._spawn(self._look_at_machine())
        self._spawn(self._prepare_data())

    def _make_crew(self) -> Crew:
        mine = next(a for a in self._plan.agents if a.agent == self._env.agent)
        host = split_address(self._address)[0]
        told = RankEnv(self._env.run_dir, self._env.secret, self._env.agent, self._address)
        threads = max(r.threads for r in mine.ranks)
        inherited = contract.inherited_environ()
        environment = rank_environment(inherited, told, threads, interface_of(host), self._plan.env)

        def start(log_file: Path) -> Child:
            return Child(self._programs.rank, environment, log_file, self._child_ended)

        ranks = Ranks(self._env.agent, self._run, mine.ranks, start)
        voice = Voice(self._sink.put, self._sink.forward, self._tell, self._end)
        config = self._job.membership
        return Crew(self._env.agent, host, config, ranks, voice)

    # ---------------------------------------------------------------------------- the loop

    async def _pump(self, until: Callable[[], bool], timeout_s: float = math.inf) -> bool:
        """Handle what happens until `until` holds; False when it did not in time."""
        deadline = time.monotonic() + timeout_s
        while not until():
            now = time.monotonic()
            if now >= deadline:
                return False
            if now >= self._next_tick_s:
                self._next_tick_s = now + TICK_S
                self._handle(partial(self._tick, now))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(self._next_tick_s - now, 0)):
                    self._handle(await self._inbox.get())
        return True

    def _post(self, happening: Happening) -> None:
        self._inbox.put_nowait(happening)

    def _handle(self, happening: Happening) -> None:
        """What goes wrong in here ends the run: an agent that has lost its mind must not lead."""
        try:
            happening()
        except EvenerError as error:
            self._fail(error)
        except Exception as error:
            log.exception("the agent failed")
            self._fail(ending.own_failure(error))

    def _tick(self, now: float) -> None:
        self._crew.tick(now)
        self._tell(words.Tick())
        if self._over is not None and now >= self._next_announcement_s:
            self._next_announcement_s = now + ANNOUNCE_S
            self._peers.broadcast(replace(self._over, sender=self._env.agent))

    def _tell(self, happened: words.Input) -> None:
        """Tell membership, and do what it asks for."""
        for output in self._membership.handle(happened, time.monotonic()):
            match output:
                case words.Send(to, message):
                    self._peers.send(to, message)
                case words.HaltRanks(ballot, urgent):
                    self._crew.halt(ballot, urgent)
                case words.FormRanks(generation):
                    ranks = [m.rank for m in generation.members]
                    log.info("generation %s: ranks %s", generation.ballot, ranks)
                    self._report_lost_agents(generation)
                    self._crew.form(generation)

    def _report_lost_agents(self, generation: Generation) -> None:
        """Ranks whose agent fell out of the group have nobody else to report them."""
        for lost in ending.lost_with_agents(self._generation, generation, self._env.agent):
            self._sink.put(lost)
        self._generation = generation

    # --------------------------------------------------------------------- who speaks to us

    async def _welcome(self, channel: Channel) -> None:
        role = channel.peer.get("role")
        if role == "rank" and channel.peer.get("agent") == self._env.agent:
            await self._listen(channel)
        elif role == "agent":
            await self._peers.accept(channel)
        elif role != "launcher":  # that one only asks whether we are there
            log.warning("%s calls with the role %r", channel.remote, role)

    async def _listen(self, channel: Channel) -> None:
        try:
            async for frame in channel:
                self._post(partial(self._crew.heard, channel, orders.from_dict(frame)))
                while self._inbox.qsize() > INBOX:
                    await asyncio.sleep(TICK_S)
        except (ValueError, FrameError) as error:
            log.warning("%s is not understood: %s", channel.remote, error)
        finally:
            self._post(partial(self._crew.left, channel))

    def letter(self, letter: Letter) -> None:
        self._post(partial(self._read, letter))

    def death(self, agent: str) -> None:
        self._post(partial(self._tell, words.PeerLost(agent)))

    def presence(self, agent: str, here: bool) -> None:
        """Through the inbox as well: who leaves is gone after what it said last, not before."""
        self._post(partial(self._seen, agent, here))

    def _seen(self, agent: str, here: bool) -> None:
        """From awaited to present in one moment: in between, it would count as gone."""
        (self._present.add if here else self._present.discard)(agent)
        self._unseen.discard(agent)

    def _child_ended(self, child: Child) -> None:
        self._post(partial(self._crew.ended, child))

    def _read(self, letter: Letter) -> None:
        match letter:
            case Stop(_, reason):
                self._stop(reason)
            case Over():
                self._heard_over(letter)
            case _:
                if isinstance(letter, words.Goodbye):
                    self._gone.add(letter.sender)
                self._tell(words.Heard(letter))

    def _heard_over(self, over: Over) -> None:
        self._recorded = self._recorded or over.recorded
        self._theirs = ending.weightier(self._theirs, over)
        if over.at_once:
            self._end(over)
        else:
            self._crew.others_ended()

    # ---------------------------------------------------------------- beside the loop

    async def _look_at_machine(self) -> None:
        machine = await asyncio.to_thread(probe, self._run.path)
        self._sink.put(MachineSeen(self._env.agent, cluster.to_dict(machine)))

    async def _prepare_data(self) -> None:
        told = RankEnv(self._env.run_dir, "", self._env.agent, "")
        env = {**contract.inherited_environ(), **self._plan.env, **contract.to_environ(told)}
        file = self._run.logs / f"prepare_{self._env.agent}.log"
        result = await prepare(self._programs.prepare, env, file, self._note)
        self._post(partial(self._prepared, result))

    def _note(self, text: str) -> None:
        self._sink.put(Alert("note", text))

    def _prepared(self, result: Prepared) -> None:
        if result.error is not None:
            self._fail(result.error)
            return
        self._sink.put(
            DataPrepared(self._env.agent, result.samples, result.validation_samples, result.seconds)
        )
        self._crew.data_ready()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Beside the loop; its failure is handled in it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._spawned_ended)

    def _spawned_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("the agent failed", exc_info=error)
            self._post(partial(self._fail, ending.own_failure(error)))

    # ------------------------------------------------------------------------------ the end

    def _signalled(self, name: str) -> None:
        self._signals += 1
        log.info("%s, the %d. signal", name, self._signals)
        if self._over is not None:
            return
        reason = f"asked to stop ({name} to agent {self._env.agent})"
        if self._signals == 1:
            self._sink.put(StopAsked(reason))
            self._peers.broadcast(Stop(self._env.agent, reason))
            self._stop(reason)
        else:
            step = self._crew.step
            self._end(Over(self._env.agent, "stopped", step, f"{reason}, twice", at_once=True))

    def _stop(self, reason: str) -> None:
        """Nobody waits for data any more; the crew stops at a boundary."""
        for task in self._tasks:
            task.cancel()
        self._crew.wind(reason)

    def _end(self, over: Over) -> None:
        for known in (over, self._theirs):
            if known is not None and not (self._over and self._recorded):
                self._over = ending.weightier(self._over, known)

    def _fail(self, error: EvenerError) -> None:
        self._end(ending.failed(self._env.agent, self._crew.step, error))

    async def _close(self) -> Over:
        """Ranks end, one agent records the end, all say goodbye. Each wait is bounded."""
        me = self._env.agent
        assert self._over is not None
        log.info("the run is over: %s %s", self._over.outcome, self._over.reason)
        if not self._over.at_once and self._crew.step >= 0:
            self._handle(partial(self._tell, words.RunDone()))
        self._crew.dismiss()
        await self._wait(lambda: self._crew.empty, PART_S)
        self._crew.kill()
        await self._wait(lambda: self._crew.empty, KILLED_S)
        await self._wait(lambda: self._recorded or ending.records(me, self._alive), RECORD_S)
        if not self._recorded:
            self._sink.put(ending.to_event(self._over))
            self._recorded = True
        self._sink.put(AgentEnded(me))
        flushing = asyncio.create_task(asyncio.to_thread(self._sink.flush, FLUSH_S))
        await self._pump(flushing.done)
        await self._wait(lambda: not self._awaited, UNSEEN_S)  # they must learn of the end too
        self._peers.broadcast(replace(self._over, sender=me, recorded=True))
        self._peers.broadcast(words.Goodbye(me, done=True))
        return self._over

    async def _wait(self, until: Callable[[], bool], timeout_s: float) -> None:
        """Patience ends with a second signal too."""
        await self._pump(lambda: until() or self._signals > 1, timeout_s)

    @property
    def _alive(self) -> set[str]:
        """Other agents, as far as we know; those too that may still show up."""
        return (self._present | self._awaited) - self._gone

    @property
    def _awaited(self) -> set[str]:
        """Agents that have not shown up yet, shortly after the start."""
        early = time.monotonic() - self._born_at < UNSEEN_S
        return self._unseen if early else set()

    async def _drop_everything(self) -> None:
        """Whatever happened before: no process and no task of ours stays."""
        self._crew.kill()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._pump(lambda: self._crew.empty, KILLED_S)


def _read_peers(text: str) -> dict[str, str]:
    """`id=host:port,...`"""
    pairs = (pair.partition("=") for pair in text.split(",") if pair)
    return {name: address for name, _, address in pairs}
