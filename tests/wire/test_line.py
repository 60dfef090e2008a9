"""Lines and channels over real sockets: what arrives, what is refused, how an end is told."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from evener import errors
from evener.wire import frames
from evener.wire.channel import Channel, End, connect, serve
from evener.wire.frames import Frame
from evener.wire.line import Line

SECRET = "a secret of the tests"
RANK: Frame = {"role": "rank", "agent": "a00"}
AGENT: Frame = {"role": "agent", "agent": "a01"}
HERE = "127.0.0.1:0"


class Guests:
    """Keeps what a server was told: the channels, and the frames that came over them."""

    def __init__(self) -> None:
        self.channels: asyncio.Queue[Channel] = asyncio.Queue()
        self.frames: asyncio.Queue[Frame] = asyncio.Queue()
        self.ends: asyncio.Queue[End] = asyncio.Queue()
        self.reading = asyncio.Event()
        self.reading.set()

    async def welcome(self, channel: Channel) -> None:
        await self.channels.put(channel)
        await self.reading.wait()
        async for frame in channel:
            await self.frames.put(frame)
        await self.ends.put(channel.end)


@asynccontextmanager
async def served(secret: str = SECRET) -> AsyncIterator[tuple[str, Guests]]:
    guests = Guests()
    async with serve(HERE, secret, guests.welcome, lambda: {"agent": "a00"}) as server:
        yield server.address, guests


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(limited())


def open_line(address: str, secret: str = SECRET, timeout_s: float = 5.0) -> Line:
    return Line.connect(address, secret, RANK, timeout_s)


def test_frames_go_both_ways_in_order() -> None:
    async def test() -> None:
        async with served() as (address, guests):
            with await asyncio.to_thread(open_line, address) as line:
                for i in range(100):
                    line.send({"i": i})
                assert [(await guests.frames.get())["i"] for _ in range(100)] == list(range(100))
                channel = await guests.channels.get()
                assert channel.peer == RANK
                for i in range(100):
                    channel.send({"i": i, "text": "ü\n"})
                got = [await asyncio.to_thread(line.receive) for _ in range(100)]
                assert got == [{"i": i, "text": "ü\n"} for i in range(100)]

    run(test)


def test_a_large_frame_of_a_rank_arrives_whole() -> None:
    async def test() -> None:
        async with served() as (address, guests):
            with await asyncio.to_thread(open_line, address) as line:
                line.send({"text": "x" * 2**21})
                assert len((await guests.frames.get())["text"]) == 2**21

    run(test)


def test_a_line_with_the_wrong_secret_is_a_start_failed() -> None:
    async def test() -> None:
        async with served() as (address, guests):
            with pytest.raises(errors.StartFailed, match="closed"):
                await asyncio.to_thread(open_line, address, "another secret")
            assert guests.channels.empty()

    run(test)


def test_a_line_to_nobody_is_a_start_failed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(errors.StartFailed, match="no line to the agent"):
        open_line(f"127.0.0.1:{port}")


def test_a_line_to_somebody_silent_gives_up_in_time() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(errors.StartFailed, match="timed out"),
    ):
        open_line(f"127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.2)


def test_receive_returns_none_when_the_agent_is_gone() -> None:
    async def test() -> None:
        async with served() as (address, guests):
            line = await asyncio.to_thread(open_line, address)
            waiting = asyncio.create_task(asyncio.to_thread(line.receive))
            (await guests.channels.get()).abort()
            assert await waiting is None
            line.send({"into": "the void"})
            assert not line.flush(1.0) or line.receive() is None
            line.close()

    run(test)


def test_close_of_a_line_wakes_its_receiver() -> None:
    async def test() -> None:
        async with served() as (address, guests):
            line = await asyncio.to_thread(open_line, address)
            waiting = asyncio.create_task(asyncio.to_thread(line.receive))
            await guests.channels.get()
            await asyncio.to_thread(line.close)
            assert await waiting is None
            assert await guests.ends.get() is End.DROPPED

    run(test)


def test_what_was_flushed_arrives_although_the_rank_ends_at_once() -> None:
    async def test() -> None:
        async with served() as (address, guests):
            line = await asyncio.to_thread(open_line, address)
            for i in range(1000):
                line.send({"i": i, "text": "x" * 1000})
            assert await asyncio.to_thread(line.flush, 5.0)
            line.close()
            assert [(await guests.frames.get())["i"] for _ in range(1000)] == list(range(1000))

    run(test)


def test_send_never_blocks_and_a_reader_that_never_reads_counts_as_gone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        made: list[Line] = []
        dialling = threading.Thread(
            target=lambda: made.append(open_line(f"127.0.0.1:{server.getsockname()[1]}"))
        )
        dialling.start()
        peer, _ = server.accept()
        with peer, peer.makefile("rb") as lines:
            shake = frames.Serving(SECRET, {})
            peer.sendall(shake.opening())
            peer.sendall(shake.answer(lines.readline()))
            dialling.join()
            for _ in range(10_000):  # 100 MB: far more than the system buffers
                made[0].send({"text": "x" * 10_000})
            assert made[0].receive() is None
            made[0].close()


def test_a_farewell_is_told_from_a_death() -> None:
    async def test() -> None:
        async with served() as (address, guests):
            leaving = await connect(address, SECRET, AGENT)
            leaving.send({"last": "words"})
            await leaving.close("done")
            assert await guests.frames.get() == {"last": "words"}
            assert await guests.ends.get() is End.FAREWELL
            assert leaving.end is End.OURS
            dying = await connect(address, SECRET, AGENT)
            dying.abort()
            assert await guests.ends.get() is End.DROPPED

    run(test)


def test_the_dialler_sees_a_farewell_too() -> None:
    async def test() -> None:
        async with served() as (address, guests):
            channel = await connect(address, SECRET, AGENT)
            assert channel.peer == {"agent": "a00"}
            closing = asyncio.create_task((await guests.channels.get()).close("no room"))
            assert [f async for f in channel] == []
            assert channel.end is End.FAREWELL
            await closing

    run(test)


def test_connect_tells_refused_from_other_failures() -> None:
    async def test() -> None:
        async with served() as (address, _):
            with pytest.raises(ConnectionAbortedError):
                await connect(address, "another secret", AGENT)
        with pytest.raises(ConnectionRefusedError):
            await connect(address, SECRET, AGENT)

    run(test)


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 5000, b"x" * 100_000, b'{"a": 1}\n', b"\n"]
)
def test_garbage_is_dropped_with_a_line_in_the_log(
    garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with served() as (address, guests):
            reader, writer = await asyncio.open_connection(*frames.split_address(address))
            writer.write(garbage)
            opening = await reader.readline()
            assert b"nonce" in opening
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await reader.readexactly(1)
            writer.close()
            assert guests.channels.empty()

    with caplog.at_level(logging.WARNING, "evener.wire.channel"):
        run(test)
    assert len(caplog.records) == 1
    assert SECRET not in caplog.text


def test_a_slow_handshake_is_dropped(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(frames, "HANDSHAKE_S", 0.1)

    async def test() -> None:
        async with served() as (address, _):
            reader, writer = await asyncio.open_connection(*frames.split_address(address))
            await reader.readline()
            assert await reader.read() == b""
            writer.close()

    run(test)
    assert "no handshake within its time" in caplog.text


def test_an_oversize_frame_of_a_peer_ends_its_connection() -> None:
    async def test() -> None:
        async with served() as (address, guests):
            channel = await connect(address, SECRET, AGENT)
            channel._wire.splitter.limit_bytes = 2**22  # a peer that keeps no limit
            channel.send({"text": "x" * 2**21})
            assert await guests.ends.get() is End.OURS
            assert [f async for f in channel] == []

    run(test)


def test_a_slow_reader_slows_the_sender_and_loses_nothing() -> None:
    async def test() -> None:
        async with served() as (address, guests):
            guests.reading.clear()
            channel = await connect(address, SECRET, AGENT)
            for i in range(5000):
                channel.send({"i": i, "text": "x" * 500})
            await asyncio.sleep(0.1)  # more than its bound is there, and waits
            guests.reading.set()
            assert [(await guests.frames.get())["i"] for _ in range(5000)] == list(range(5000))
            channel.abort()

    run(test)


def test_leaving_the_block_ends_every_connection() -> None:
    async def test() -> None:
        async with served() as (address, guests):
            channel = await connect(address, SECRET, AGENT)
            await guests.channels.get()
        assert [f async for f in channel] == []
        assert channel.end is End.DROPPED

    run(test)


def test_an_inherited_socket_is_served() -> None:
    async def test() -> None:
        sock = socket.create_server(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        guests = Guests()
        async with serve(sock, SECRET, guests.welcome) as server:
            assert server.address == f"127.0.0.1:{port}"
            (await connect(server.address, SECRET, AGENT)).abort()
            assert await guests.ends.get() is End.DROPPED

    run(test)


def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    async def test() -> None:
        with pytest.raises(errors.StartFailed, match="cannot listen"):
            async with serve("192.0.2.1:0", SECRET, Guests().welcome):
                pass

    run(test)
