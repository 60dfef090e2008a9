"""Connections to other agents: one per pair, dialled again when lost; what an end is evidence of.

Both sides dial whom they know. Where two connections cross, the one that the lower id dialled
stays. A connection that ends without a farewell, to an agent that cannot be reached again at
once, is evidence of its death; silence is none, membership counts the seconds itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Protocol, Self

from evener.agent import translate
from evener.agent.translate import Letter
from evener.wire import tls
from evener.wire.channel import Channel, End, connect
from evener.wire.frames import Frame, FrameError

log = logging.getLogger(__name__)

DIAL_S = 2.0
AGAIN_S = 1.0  # for the one try that tells a lost connection from a lost agent
BACK_OFF_S, BACK_OFF_MOST_S = 0.05, 1.0
REFUSAL = "not with these versions"


def addresses(text: str) -> dict[str, str]:
    """Of the agents known at the start: `id=host:port,...`"""
    pairs = (pair.partition("=") for pair in text.split(",") if pair)
    return {name: address for name, _, address in pairs}


class Listener(Protocol):
    """Who is told, in the loop and in the order in which it happens."""

    def letter(self, letter: Letter) -> None:
        """Another agent says something."""

    def presence(self, agent: str, here: bool) -> None:
        """There is a connection with it, or none any more."""

    def death(self, agent: str) -> None:
        """There is evidence that its process is gone."""

    def admits(self, said: Frame, heard: Frame) -> bool:
        """Whether we may speak with whom we said and heard these hellos."""


class Peers:
    """Use with `async with`: leaving it says farewell to all."""

    def __init__(
        self,
        me: str,
        hello: Callable[[], Frame],
        secret: str,
        addresses: dict[str, str],
        listener: Listener,
    ) -> None:
        """`hello` is asked whenever we dial."""
        self._me, self._hello = me, hello
        self._secret, self._listener = secret, listener
        self._addresses = dict(addresses)
        self._channels: dict[str, Channel] = {}
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    async def __aenter__(self) -> Self:
        if self._addresses:
            tls.prepare(self._secret)
        for peer in self._addresses:
            self._begin(self._keep(peer))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing = True
        closing = [c.close("the agent leaves") for c in self._channels.values()]
        await asyncio.gather(*closing, return_exceptions=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def doors(self) -> dict[str, str]:
        """Where each agent that we know of answers."""
        return self._addresses

    def send(self, to: str, letter: Letter) -> None:
        """It may get lost: where there is no connection at the moment, it is."""
        channel = self._channels.get(to)
        if channel is not None:
            channel.send(translate.to_frame(letter))

    def broadcast(self, letter: Letter) -> None:
        for peer in self._channels:
            self.send(peer, letter)

    async def accept(self, channel: Channel) -> None:
        """Serve an agent that dialled us, until that connection ends."""
        peer, address = channel.peer.get("agent"), channel.peer.get("address")
        if not isinstance(peer, str) or not peer or peer == self._me:
            log.warning("%s says it is agent %r", channel.remote, peer)
            return
        if not self._listener.admits(channel.said, channel.peer):
            await channel.close(REFUSAL)
            return
        if peer not in self._addresses and isinstance(address, str):
            self._addresses[peer] = address
            self._begin(self._keep(peer))
        if not self._closing and self._adopt(peer, channel):
            await self._read(peer, channel)
        else:
            await channel.close("one connection is enough")

    async def _keep(self, peer: str) -> None:
        """Dial `peer` whenever there is no connection, for as long as we live."""
        pause_s = BACK_OFF_S
        while True:
            while peer in self._channels:
                pause_s = BACK_OFF_S
                await self._change()
            channel = await self._dial(peer, DIAL_S)
            if channel is None:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, BACK_OFF_MOST_S)
            elif self._adopt(peer, channel):
                self._begin(self._read(peer, channel))
            else:
                await channel.close("one connection is enough")

    async def _dial(self, peer: str, timeout_s: float) -> Channel | None:
        try:
            address, hello = self._addresses[peer], self._hello()
            channel = await connect(address, self._secret, hello, timeout_s)
        except OSError as error:
            log.debug("agent %s does not answer: %s", peer, error)
            return None
        if channel.peer.get("agent") != peer:
            log.warning("%s is agent %r, not %s", channel.remote, channel.peer.get("agent"), peer)
            channel.abort()
        elif self._listener.admits(channel.said, channel.peer):
            return channel
        else:
            await channel.close(REFUSAL)
        return None

    def _adopt(self, peer: str, new: Channel) -> bool:
        """Whether `new` is from now on the connection with `peer`."""
        old = self._channels.get(peer)
        dialler = new.hello.get("agent")
        if old is not None:
            crossed = old.hello.get("agent") != dialler
            if crossed and dialler != min(self._me, peer):
                return False
            self._begin(old.close("one connection is enough"))
        self._channels[peer] = new
        self._listener.presence(peer, True)
        self._note_change()
        return True

    async def _read(self, peer: str, channel: Channel) -> None:
        """Hand on what `peer` says until the connection ends, then judge that end."""
        async for frame in channel:
            try:
                letter = translate.from_frame(frame)
                if letter.sender != peer:
                    raise FrameError(f"{peer} speaks for {letter.sender}")
            except ValueError as error:
                log.warning("agent %s is not understood: %s", peer, error)
                channel.abort()
                break
            self._listener.letter(letter)
        if self._channels.get(peer) is not channel:
            return  # another connection has taken its place
        del self._channels[peer]
        self._listener.presence(peer, False)
        dropped = channel.end is End.DROPPED and not self._closing
        if dropped and not await self._answers_again(peer):
            self._listener.death(peer)
        self._note_change()

    async def _answers_again(self, peer: str) -> bool:
        """One try at once: it is refused where the process is gone."""
        if peer in self._channels:
            return True
        channel = await self._dial(peer, AGAIN_S) if peer in self._addresses else None
        if channel is None:
            return peer in self._channels
        if self._adopt(peer, channel):
            self._begin(self._read(peer, channel))
        else:
            await channel.close("one connection is enough")
        return True

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _note_change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _change(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BACK_OFF_MOST_S):
                await self._changed.wait()
