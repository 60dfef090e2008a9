"""Agents find, keep and lose each other over real connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from evener.agent import translate
from evener.agent.peers import Peers
from evener.agent.translate import Letter, Stop
from evener.wire.channel import Channel, connect, serve
from evener.wire.frames import Frame

SECRET = "of the tests"


class Agent:
    """Keeps what it is told; its listener can be taken away as a death does."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.heard: asyncio.Queue[Letter] = asyncio.Queue()
        self.deaths: asyncio.Queue[str] = asyncio.Queue()
        self.here: set[str] = set()
        self.unwanted: set[str] = set()
        self.channels: list[Channel] = []
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.sock.getsockname()[1]}"

    def letter(self, letter: Letter) -> None:
        self.heard.put_nowait(letter)

    def presence(self, agent: str, here: bool) -> None:
        (self.here.add if here else self.here.discard)(agent)

    def death(self, agent: str) -> None:
        self.deaths.put_nowait(agent)

    def admits(self, said: Frame, heard: Frame) -> bool:
        return heard.get("agent") not in self.unwanted

    @asynccontextmanager
    async def living(self, known: dict[str, str]) -> AsyncIterator[Peers]:
        def hello() -> Frame:
            return {"role": "agent", "agent": self.name, "address": self.address}

        peers = Peers(self.name, hello, SECRET, known, self)

        async def welcome(channel: Channel) -> None:
            self.channels.append(channel)
            await peers.accept(channel)

        async with serve(self.sock, SECRET, welcome, hello), peers:
            yield peers


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(limited())


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.005)


async def both_hear(first: Agent, one: Peers, second: Agent, other: Peers) -> None:
    """Letters get through in both directions; one that took a line just given up is sent again."""
    for sender, peers, reader in ((first, one, second), (second, other, first)):
        while reader.heard.empty():
            peers.send(reader.name, Stop(sender.name, "hello"))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await until(lambda heard=reader.heard: not heard.empty())  # type: ignore[misc]
        assert await reader.heard.get() == Stop(sender.name, "hello")


def test_two_who_dial_each_other_keep_one_connection() -> None:
    async def test() -> None:
        a, b = Agent("a00"), Agent("a01")
        async with a.living({"a01": b.address}) as pa, b.living({"a00": a.address}) as pb:
            await until(lambda: a.here == {"a01"} and b.here == {"a00"})
            await asyncio.sleep(0.1)  # crossing ones have been settled
            await both_hear(a, pa, b, pb)
            assert a.deaths.empty()
            assert b.deaths.empty()

    run(test)


def test_who_is_not_known_is_known_once_it_called() -> None:
    async def test() -> None:
        a, b = Agent("a00"), Agent("a01")
        async with a.living({}) as pa, b.living({"a00": a.address}) as pb:
            await until(lambda: a.here == {"a01"} and b.here == {"a00"})
            await both_hear(a, pa, b, pb)

    run(test)


def test_one_that_starts_later_is_found() -> None:
    async def test() -> None:
        a, b = Agent("a00"), Agent("a01")
        address = b.address
        b.sock.close()
        async with a.living({"a01": address}) as pa:
            await asyncio.sleep(0.2)
            assert a.deaths.empty()  # who never was is not dead
            b.sock = socket.create_server(("127.0.0.1", int(address.split(":")[1])))
            async with b.living({}) as pb:
                await until(lambda: a.here == {"a01"} and b.here == {"a00"})
                await both_hear(a, pa, b, pb)

    run(test)


def test_a_death_is_evidence_and_a_farewell_is_none() -> None:
    async def test() -> None:
        a, b = Agent("a00"), Agent("a01")
        async with a.living({"a01": b.address}):
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(b.living({}))
                await until(lambda: a.here == {"a01"} and b.here == {"a00"})
            await until(lambda: a.here == set())
            await asyncio.sleep(0.1)
            assert a.deaths.empty()
        c = Agent("a02")
        a = Agent("a00")
        async with a.living({"a02": c.address}):
            async with serve(c.sock, SECRET, _hold, lambda: {"agent": "a02"}):
                await until(lambda: a.here == {"a02"})
            assert await a.deaths.get() == "a02"  # its socket closed without a word
            assert a.here == set()

    run(test)


def test_a_broken_connection_to_one_that_lives_is_mended_without_a_death() -> None:
    async def test() -> None:
        a, b = Agent("a00"), Agent("a01")
        async with a.living({"a01": b.address}) as pa, b.living({}) as pb:
            await until(lambda: a.here == {"a01"} and b.here == {"a00"})
            for _ in range(3):
                b.channels[-1].abort()
                count = len(b.channels)
                await until(lambda n=count: len(b.channels) > n)  # type: ignore[misc]
                await until(lambda: a.here == {"a01"} and b.here == {"a00"})
                await both_hear(a, pa, b, pb)
            assert a.deaths.empty()
            assert b.deaths.empty()

    run(test)


def test_who_speaks_for_another_or_in_riddles_is_dropped() -> None:
    async def test() -> None:
        a = Agent("a00")
        async with a.living({}):
            for frame in (translate.to_frame(Stop("a05", "not me")), {"say": "what"}):
                liar = await connect(a.address, SECRET, {"role": "agent", "agent": "a01"})
                liar.send(frame)
                assert [f async for f in liar] == []
            assert a.heard.empty()

    run(test)


def test_who_is_not_admitted_is_neither_heard_nor_here() -> None:
    async def test() -> None:
        a, b = Agent("a00"), Agent("a01")
        a.unwanted.add("a01")
        async with a.living({"a01": b.address}) as pa, b.living({"a00": a.address}) as pb:
            await asyncio.sleep(0.5)
            pb.send("a00", Stop("a01", "let me in"))
            pa.broadcast(Stop("a00", "who is there"))
            await asyncio.sleep(0.1)
            assert a.here == set()
            assert a.heard.empty()
            assert b.heard.empty()
            a.unwanted.clear()
            await until(lambda: a.here == {"a01"} and b.here == {"a00"})
            await both_hear(a, pa, b, pb)

    run(test)


def test_a_letter_to_nobody_is_lost_quietly() -> None:
    async def test() -> None:
        a = Agent("a00")
        async with a.living({}) as peers:
            peers.send("a09", Stop("a00", "is anybody there"))
            peers.broadcast(Stop("a00", "anybody"))

    run(test)


async def _hold(channel: Channel) -> None:
    async for _ in channel:
        pass
