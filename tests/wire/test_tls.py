"""Between agents nothing is said in the open, and nobody who lacks the secret is spoken with."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from tests.wire.test_line import AGENT, SECRET, Guests, run, served

from evener.wire import frames, tls
from evener.wire.channel import End, connect
from evener.wire.frames import Frame

TOKEN = "what only the two are to know"


class Tap:
    """Hears all that passes between a caller and a server."""

    def __init__(self) -> None:
        self.heard = bytearray()

    @contextlib.asynccontextmanager
    async def before(self, address: str) -> AsyncIterator[str]:
        """The address of a way to `address` that leads by us."""
        host, port = frames.split_address(address)
        pumps: set[asyncio.Task[None]] = set()

        async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            onward, back = await asyncio.open_connection(host, port)
            for one, other in ((reader, back), (onward, writer)):
                pumps.add(asyncio.create_task(self._pump(one, other)))

        async with await asyncio.start_server(lead, "127.0.0.1", 0) as server:
            yield frames.join_address(*server.sockets[0].getsockname()[:2])
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                self.heard += data
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()


async def _said(guests: Guests, address: str) -> Frame:
    """What arrives of a frame each way."""
    channel = await connect(address, SECRET, AGENT)
    theirs = await guests.channels.get()
    channel.send({"token": TOKEN})
    heard = await guests.frames.get()
    theirs.send({"token": TOKEN})
    assert await anext(aiter(channel)) == heard
    await channel.close()
    assert await guests.ends.get() is End.FAREWELL
    return heard


def test_who_listens_between_two_agents_hears_nothing_of_what_they_say() -> None:
    async def test() -> None:
        tap = Tap()
        async with served() as (address, guests), tap.before(address) as way:
            assert await _said(guests, way) == {"token": TOKEN}
        assert b"hello" in tap.heard  # the greeting: who calls, and the proofs
        assert TOKEN.encode() not in tap.heard
        assert b"token" not in tap.heard
        assert SECRET.encode() not in tap.heard

    run(test)


def test_a_connection_may_be_closed_by_several_at_once_and_after_it_was_dropped() -> None:
    async def test() -> None:
        async with served() as (address, guests):
            for dropped in (False, True):
                channel = await connect(address, SECRET, AGENT)
                theirs = await guests.channels.get()
                if dropped:
                    theirs.abort()
                await asyncio.gather(*(one.close() for one in (channel, theirs) for _ in range(3)))
                channel.send({"token": TOKEN})
                await channel.close()
                assert channel.end is not End.OPEN
                assert theirs.end is not End.OPEN

    run(test)


def test_a_large_frame_arrives_whole() -> None:
    async def test() -> None:
        async with served() as (address, guests):
            channel = await connect(address, SECRET, AGENT)
            channel.send({"text": "x" * (2**20 - 100)})
            assert len((await guests.frames.get())["text"]) == 2**20 - 100
            await channel.close()

    run(test)


def test_who_speaks_on_in_the_open_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    """It knows the secret, or has let a greeting pass that somebody else made."""

    async def test() -> None:
        async with served() as (address, guests):
            reader, writer = await asyncio.open_connection(*frames.split_address(address))
            shake = frames.Connecting(SECRET, AGENT)
            writer.write(shake.answer(await reader.readline()))
            shake.finish(await reader.readline())
            writer.write(json.dumps({"token": TOKEN}).encode() + b"\n")
            with contextlib.suppress(ConnectionError):
                while await reader.read(1000):
                    pass  # TLS may say why, in its own words
            writer.close()
            assert guests.channels.empty()

    with caplog.at_level(logging.WARNING):
        run(test)
    assert "no encrypted connection" in caplog.text


@pytest.mark.parametrize("more", [b'{"token": 1}\n', b'{"tok'])
def test_words_slipped_in_before_the_encryption_are_not_taken_for_the_callers(
    caplog: pytest.LogCaptureFixture, more: bytes
) -> None:
    async def test() -> None:
        async with served() as (address, guests):
            reader, writer = await asyncio.open_connection(*frames.split_address(address))
            shake = frames.Connecting(SECRET, AGENT)
            writer.write(shake.answer(await reader.readline()) + more)
            with contextlib.suppress(ConnectionError):
                while await reader.read(1000):
                    pass
            writer.close()
            assert guests.channels.empty()

    with caplog.at_level(logging.WARNING):
        run(test)
    assert "words between the greeting and the encryption" in caplog.text


def test_words_slipped_in_before_the_encryption_are_not_taken_for_the_servers() -> None:
    async def test() -> None:
        async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            shake = frames.Serving(SECRET, {"agent": "a00"})
            writer.write(shake.opening())
            writer.write(shake.answer(await reader.readline()) + b'{"token": 1}\n')
            with contextlib.suppress(ConnectionError):
                await reader.read()
            writer.close()
            left.set()

        left = asyncio.Event()
        async with await asyncio.start_server(welcome, "127.0.0.1", 0) as server:
            address = frames.join_address(*server.sockets[0].getsockname()[:2])
            with pytest.raises(ConnectionAbortedError, match="between the greeting"):
                await connect(address, SECRET, AGENT)
            await left.wait()

    run(test)


def test_a_certificate_of_another_secret_is_refused() -> None:
    async def test() -> None:
        refused: list[Exception] = []

        async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        server = await asyncio.start_server(
            welcome, "127.0.0.1", 0, ssl=tls.context(SECRET, server_side=True)
        )
        async with server:
            port = server.sockets[0].getsockname()[1]
            for secret in ("another", SECRET):
                try:
                    _, writer = await asyncio.open_connection(
                        "127.0.0.1", port, ssl=tls.context(secret, server_side=False)
                    )
                    writer.close()
                except ssl.SSLError as error:
                    refused.append(error)
        assert len(refused) == 1

    run(test)


def test_all_processes_derive_the_same_certificate() -> None:
    code = "from evener.wire import tls; import sys; sys.stdout.write(str(tls._derive('s')))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == str(tls._derive("s"))
    assert tls._derive("s") != tls._derive("t")
