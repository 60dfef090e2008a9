"""The life of a head: it listens while the run's agents speak, and leaves a record that is whole.

It ends when every agent it expects has said goodbye, on SIGTERM, or when none has spoken for
`SILENCE_S`. A run that nobody has ended by then is recorded as failed, except on SIGTERM: then
agents may live on, spooling, and it is theirs to say. When its machine goes away it takes in what
agents say last, and is to be started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import time
from types import FrameType

from evener import contract, errors
from evener.contract import HeadEnv
from evener.dashboard.app import build as pages
from evener.events import Alert, RunEnded
from evener.head import app, rival
from evener.head.exhibit import Exhibit
from evener.head.keeper import Keeper
from evener.rundir import freight
from evener.web import Server

log = logging.getLogger("evener.head")

SILENCE_S = 60.0  # agents post every 2 s, empty if need be
FAREWELL_S = 10.0  # the same, once the run has ended
QUIET_S, AWAY_S = 2.5, 20.0  # when our machine goes away: agents have said all, or it is too late
LOOK_S = 0.5
METRICS_S = 10.0
RANKS_AT_ONCE = 32  # whose files are written each time: of a thousand, each is at last
GOODBYE_S = 5  # for requests under way when the end has come


ADOPTED = (
    "another manager has adopted the run while this machine was away: its record goes on there"
)
AWAY_SIGNAL = getattr(signal, contract.AWAY_SIGNAL, None)  # where there are containers


class Head:
    """Serves one run. `serve` returns when the head's time is over."""

    def __init__(
        self, keeper: Keeper, exhibit: Exhibit, env: HeadEnv, silence_s: float = SILENCE_S
    ) -> None:
        self._keeper, self._exhibit = keeper, exhibit
        self._expected = env.expected_agents
        self._patience_s = silence_s
        self._posts = 0
        self._silent_s = 0.0
        self._away_by: float | None = None
        self._alias, self._secret = env.alias, env.secret
        self._next_rival_look = 0.0
        shown = pages(exhibit, contract.page_key(env.secret))
        self._server = Server(app.build(exhibit.run, keeper, env.secret, shown), GOODBYE_S)

    def stop(self, number: int = 0, frame: FrameType | None = None) -> None:
        """A signal handler: end after what is under way."""
        self._exhibit.close()
        self._server.end()
        self._keeper.partings.ring()

    def leave(self, number: int = 0, frame: FrameType | None = None) -> None:
        """A signal handler: the machine goes away, and will be back."""
        if self._away_by is None:
            log.info("this machine goes away")
            self._silent_s = 0.0
            self._away_by = time.monotonic() + AWAY_S

    @property
    def away(self) -> bool:
        """Whether it ended only for its machine."""
        return self._away_by is not None and not self._keeper.run_ended

    async def serve(self, listening: socket.socket) -> None:
        watch = asyncio.create_task(self._watch(), name="watch")
        watch.add_done_callback(lambda _: self.stop())
        await self._server.serve(sockets=[listening])
        await watch
        await asyncio.to_thread(self._write_metrics)

    async def _watch(self) -> None:
        looked = written = time.monotonic()
        while not self._server.should_exit:
            await self._keeper.partings.wait(self._is_over, LOOK_S)
            now = time.monotonic()
            self._listen(now - looked)
            looked = now
            if self._away_by is not None and (self._silent_s > QUIET_S or now > self._away_by):
                return
            end = self._end()
            if end:
                await asyncio.to_thread(self._settle, end)
                return
            if self._alias and now >= self._next_rival_look:
                self._next_rival_look = now + rival.LOOK_S
                if await asyncio.to_thread(self._yields):
                    return
            if now - written >= METRICS_S:
                await asyncio.to_thread(self._write_metrics, RANKS_AT_ONCE)
                written = now

    def _yields(self) -> bool:
        """To the head of another machine, which has adopted the run."""
        own = freight.identity(self._exhibit.run)
        if not rival.supersedes(self._alias, self._secret, own):
            return False
        log.warning(ADOPTED)
        with contextlib.suppress(errors.EvenerError):
            self._keeper.say(Alert("warning", ADOPTED))
        return True

    def _is_over(self) -> bool:
        return self._server.should_exit or self._end() != ""

    def _listen(self, passed_s: float) -> None:
        """Count the silence. While this process stood still, nobody could be heard."""
        if self._keeper.posts != self._posts:
            self._posts = self._keeper.posts
            self._silent_s = 0.0
        else:
            self._silent_s += min(passed_s, 2 * LOOK_S)

    def _end(self) -> str:
        """Why the head's time is over; empty while it is not."""
        expected = max(self._expected, len(self._keeper.agents))  # machines may join
        if len(self._keeper.ended_agents) >= expected:
            return "every agent has ended"
        patience_s = self._patience_s
        if self._keeper.run_ended:  # who has not said goodbye by then was lost on the way
            patience_s = min(patience_s, FAREWELL_S)
        if self._silent_s > patience_s:
            return f"no agent has spoken for {patience_s:.0f} s"
        return ""

    def _settle(self, end: str) -> None:
        """No agent will speak again: if none has told the run's end, it has failed."""
        log.info("%s", end)
        try:
            if self._keeper.run_has_ended():
                return
            step = self._keeper.state().step
            vanished = errors.RunVanished(
                f"{end}, and none told how the run ended",
                where=f"step {step}",
                fix="logs/ has their last words; `evener resume NAME` goes on from there",
            )
            log.error("%s", vanished)
            self._keeper.end_run(RunEnded("failed", step, vanished.what, vanished.to_dict()))
        except errors.EvenerError as error:
            log.error("the end of the run could not be recorded: %s", error)

    def _write_metrics(self, most: int | None = None) -> None:
        try:
            self._keeper.write_metrics(most)
        except (errors.EvenerError, OSError) as error:
            log.error("the ranks' metrics could not be written: %s", error)


def run(head: Head, listening: socket.socket) -> None:
    """Serve until the end. A Ctrl-C in the terminal that started the run is not meant for us."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, head.stop)
    if AWAY_SIGNAL is not None:
        signal.signal(AWAY_SIGNAL, head.leave)
    with listening:
        asyncio.run(head.serve(listening))


def listening_socket(env: HeadEnv) -> socket.socket:
    """The inherited socket, or a new one on `env.listen`. Of two agents that start a head at once
    one finds the port taken."""
    if env.fd != -1:
        return socket.socket(fileno=env.fd)
    host, _, port = env.listen.rpartition(":")
    try:
        return socket.create_server((host.strip("[]"), int(port)), backlog=128)
    except OSError as error:
        raise errors.PortTaken(
            f"the head cannot listen there: {error.strerror or error}",
            where=env.listen,
            fix="nothing, if the run's head listens there; else free the port, or name another",
        ) from error
