"""Through the doors of agents to a head on another machine's loopback."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.head.serving import SECRET, in_thread, made

from evener.agent import causeway
from evener.agent.causeway import Causeway
from evener.rundir.layout import RunDir
from evener.wire.channel import Channel, serve
from evener.wire.frames import split_address
from evener.wire.porter import Porter

LARGE_BYTES = 3 * 2**20


@contextmanager
def door(head: Callable[[], str]) -> Iterator[str]:
    """Of an agent that hosts the head there, or none."""
    found: list[str] = []
    ready, ended = threading.Event(), asyncio.Event()

    async def welcome(channel: Channel) -> None:
        await causeway.receive(channel, split_address(head())[1] if head() else 0)

    async def live() -> None:
        async with serve("127.0.0.1:0", SECRET, welcome) as server:
            found.append(server.address)
            ready.set()
            await ended.wait()

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        thread = threading.Thread(target=lambda: runner.run(live()))
        thread.start()
        try:
            assert ready.wait(10)
            yield found[0]
        finally:
            loop.call_soon_threadsafe(ended.set)
            thread.join()


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return made(tmp_path)


@contextmanager
def porter(address: str) -> Iterator[Porter]:
    with closing(Porter(address, SECRET)) as found:
        yield found


def test_files_go_both_ways_and_who_hosts_none_is_passed_over(run: RunDir, tmp_path: Path) -> None:
    said = bytes(range(256)) * (LARGE_BYTES // 256)
    with (
        in_thread(run) as head,
        door(lambda: "") as idle,
        door(lambda: head) as host,
    ):
        way = Causeway(SECRET, lambda: ["127.0.0.1:1", idle, host], lambda: 0)
        try:
            with porter(way.address) as by:
                assert by.bring("logs/rank_0.log", 0, said) == LARGE_BYTES
                run.job_file.write_bytes(said)
                by.fetch("configs/job.json", tmp_path / "job.json")
            assert (tmp_path / "job.json").read_bytes() == said
        finally:
            way.close()
    assert run.rank_log(0).read_bytes() == said


def test_ones_own_head_needs_no_door_and_without_any_there_is_no_answer(run: RunDir) -> None:
    with in_thread(run) as head:
        own = [split_address(head)[1]]
        way = Causeway(SECRET, list, lambda: own[0])
        try:
            with porter(way.address) as by, porter(head) as direct:
                assert by.home() == direct.home()
            own[0] = 0
            with pytest.raises(OSError, match=r"answer|reset"), porter(way.address) as by:
                by.home()
        finally:
            way.close()


def test_strangers_do_not_come_through(run: RunDir) -> None:
    with in_thread(run) as head, door(lambda: head) as host:
        way = Causeway("another secret", lambda: [host], lambda: 0)
        try:
            with pytest.raises(OSError, match=r"answer|reset"), porter(way.address) as by:
                by.home()
        finally:
            way.close()
