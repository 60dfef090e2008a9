"""A head whose machine is gone: an agent with a disk of its own stands in for it.

The first members of a generation keep a copy of the record. When the head has not answered the
first of them for a while, that one starts a head of its own beside its copy, and the others, who
miss theirs as well, find it by the causeway. What belongs to the run comes to it as it came home.
When home answers again it is told what it has missed and brought what it lacks, and all go back.

Two may stand in at once, of sides that do not see each other: each tells home what it has heard.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from evener import contract, errors
from evener.agent import causeway
from evener.agent.causeway import Causeway
from evener.agent.courier import Courier
from evener.agent.hosting import see_off, start_head
from evener.agent.peers import addresses
from evener.agent.replica import Replica
from evener.contract import AgentEnv, HeadEnv
from evener.events import Alert
from evener.membership import Generation
from evener.rundir.layout import RunDir
from evener.wire import frames
from evener.wire.channel import Channel
from evener.wire.outbox import Outbox
from evener.wire.porter import Porter

log = logging.getLogger("evener.agent")

LOOK_S = 0.5
FOLLOW_S = 2.0  # between two looks at what is new in the record
PATIENCE_S = 2.5  # without an answer from the head
COPIES = 3  # agents that keep one: the head's machine may have been that of the first
STAY_S = 86_400.0  # at the end of a run, for home to answer: only here is all of it


class StandIn:
    """It does nothing where the run's folder is on the agent's own disk. Close it after the
    outbox."""

    def __init__(self, env: AgentEnv, run: RunDir) -> None:
        self._env = env
        self._replica = Replica(run)
        self._generation: Generation | None = None
        self._doors = addresses(env.peers)
        self._child: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._hosts = False  # though its head may have ended, after the run
        self._next_s = 0.0
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._stays: Sequence[str] | None = None
        self._causeway: Causeway | None = None
        if env.apart:
            self._causeway = Causeway(env.secret, self._likely, lambda: self._port)

    @property
    def address(self) -> str:
        """Where whoever stands in is reached from this machine; empty where nobody could."""
        return "" if self._causeway is None else self._causeway.address

    @property
    def hosts(self) -> bool:
        """Whether something is here alone that belongs home."""
        return self._hosts

    def joined(self, generation: Generation | None, doors: dict[str, str]) -> None:
        """What the agent knows of the others."""
        self._generation, self._doors = generation, doors

    async def receive(self, channel: Channel) -> None:
        """Who comes by the causeway."""
        await causeway.receive(channel, self._port)

    def watch(self, outbox: Outbox, stays: Sequence[str] | None) -> None:
        """From now on. `stays` is what of a script's files does not travel, None without one."""
        if self._env.apart:
            self._stays = stays
            target = self._watch
            self._thread = threading.Thread(target=target, args=(outbox,), name="stand-in")
            self._thread.start()

    def close(self) -> None:
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        if self._causeway is not None:
            self._causeway.close()

    def _likely(self) -> Iterator[str]:
        """Doors of those who may stand in; before there is a generation, of all."""
        generation, doors = self._generation, self._doors
        agents = doors if generation is None else generation.agents[:COPIES]
        yield from (doors[agent] for agent in agents if agent in doors)

    def _watch(self, outbox: Outbox) -> None:
        """The child lives as long as this thread: it is the one that starts it."""
        while not self._closing.wait(LOOK_S):
            try:
                self._look(outbox, time.monotonic())
            except (OSError, errors.EvenerError) as error:
                log.info("the copy of the record: %s", error)
        self._replica.close()
        self._end_child()

    def _look(self, outbox: Outbox, now: float) -> None:
        agents = () if self._generation is None else self._generation.agents
        leads = agents[:1] == (self._env.agent,)
        if self._hosts:
            if now >= self._next_s:
                self._next_s = now + FOLLOW_S
                self._look_home(outbox)
        elif leads and outbox.silent_s > PATIENCE_S:
            self._host(outbox)
        elif self._env.agent in agents[:COPIES] and now >= self._next_s and not outbox.silent_s:
            self._next_s = now + FOLLOW_S
            self._replica.follow(outbox.address(), self._env.secret, leads=leads)

    def _host(self, outbox: Outbox) -> None:
        self._replica.prepare()
        self._port = _free_port()
        told = HeadEnv(
            str(self._replica.run.path),
            self._env.secret,
            listen=frames.join_address(contract.LOOPBACK, self._port),
            expected_agents=self._env.expected_agents,
            of_agent=1,
        )
        self._child, self._hosts = start_head(self._replica.run, told), True
        log.warning("the head is away: one is started here")
        text = f"the head's machine does not answer: agent {self._env.agent} stands in for it, with"
        outbox.put(Alert("warning", f"{text} what there is of the run in {self._replica.run.path}"))

    def _look_home(self, outbox: Outbox) -> None:
        """Back, once home has all of it. What comes meanwhile is told after the end."""
        if self._child is not None and self._child.poll() is not None:
            self._hosts = self._child.returncode == 0  # all have said goodbye: only home is missing
            self._child, self._port = None, 0
        if not self._is_home():
            return
        told = 0
        if self._replica.run_has_ended:  # who would bring it may be gone; and told so, home ends
            if not self._bring_all():
                return
        else:
            told = self._replica.tell(self._env.head, self._env.secret)
        self._port = 0
        self._end_child()
        told += self._replica.tell(self._env.head, self._env.secret)
        self._hosts = False
        text = f"the head is back: agent {self._env.agent} has told it what it missed"
        outbox.put(Alert("note", f"{text}: {told} events"))

    def _bring_all(self) -> bool:
        """Whether home has taken all that others have brought here."""
        own = replace(self._env, run_dir=str(self._replica.run.path))
        courier = Courier(own, self._replica.run)
        if self._stays is not None:
            courier.follow(self._stays)
        return courier.finish()

    def _is_home(self) -> bool:
        with contextlib.suppress(OSError):
            with contextlib.closing(Porter(self._env.head, self._env.secret)) as porter:
                porter.home()
            return True
        return False

    def _end_child(self) -> None:
        if self._child is not None:
            self._child.terminate()
            see_off(self._child)
            self._child = None


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind((contract.LOOPBACK, 0))
        return int(sock.getsockname()[1])
