"""Processes an agent owns: noticed when they end, killed with all they started."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from evener import errors
from evener.agent.child import Child
from evener.agent.prepare import Prepared, prepare, progress_text

PREPARE = (sys.executable, str(Path(__file__).with_name("fake_prepare.py")))


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(limited())


async def lived(log: Path, *argv: str, act: Callable[[Child], None] = lambda _: None) -> Child:
    """A child, after its end."""
    ended = asyncio.Event()
    child = Child(argv, dict(os.environ), log, lambda _: ended.set())
    act(child)
    await ended.wait()
    return child


@pytest.mark.parametrize(("code", "status"), [("exit 3", 3), ("kill -9 $$", -9), ("true", 0)])
def test_an_end_is_told_with_its_status(tmp_path: Path, code: str, status: int) -> None:
    async def test() -> None:
        child = await lived(tmp_path / "log", "sh", "-c", code)
        assert child.ended
        assert child.status == status
        child.kill()  # whoever has that pid now is not ours

    run(test)


def test_the_tail_is_the_childs_own(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("of another life\n")

    async def test() -> None:
        child = await lived(log, "sh", "-c", "echo one; echo; echo two >&2; printf three")
        assert child.tail(9) == ["one", "two", "three"]
        assert child.tail(1) == ["three"]
        child.follow(tmp_path / "other")
        assert child.tail(1) == []

    run(test)


def test_what_a_child_started_ends_with_it(tmp_path: Path) -> None:
    """A rank's loader workers must not outlive it, even if it was killed."""

    async def test() -> None:
        code = "sleep 600 & echo $! > grandchild; kill -9 $$"
        child = await lived(tmp_path / "log", "sh", "-c", f"cd {tmp_path}; {code}")
        assert child.status == -signal.SIGKILL
        assert gone(int((tmp_path / "grandchild").read_text()))

    run(test)


def test_kill_reaches_one_that_is_suspended(tmp_path: Path) -> None:
    async def test() -> None:
        def act(child: Child) -> None:
            assert not child.suspended
            os.kill(child.pid, signal.SIGSTOP)
            while not child.suspended:
                time.sleep(0.01)
            child.kill()

        child = await lived(tmp_path / "log", "sleep", "600", act=act)
        assert child.status == -signal.SIGKILL
        assert not child.suspended

    run(test)


def test_a_terminals_interrupt_does_not_reach_a_child(tmp_path: Path) -> None:
    async def test() -> None:
        def act(child: Child) -> None:
            assert os.getsid(child.pid) == os.getpgid(child.pid) == child.pid
            child.kill()

        await lived(tmp_path / "log", "sleep", "600", act=act)

    run(test)


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    async def test() -> None:
        with pytest.raises(errors.StartFailed, match="cannot be started"):
            Child(["/no/such/program"], {}, tmp_path / "log", lambda _: None)

    run(test)


def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    """The kernel sees to it, without a line or a pipe that closes."""
    grandchild = (
        "import os, sys, time; from evener.lifeline import die_with_parent; die_with_parent();"
        "print(os.getpid(), flush=True); time.sleep(600)"
    )
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}])"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    assert gone(pid)


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        stat = Path(f"/proc/{pid}/stat")
        try:
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.01)
    return False


# ------------------------------------------------------------------------ preparing data


async def prepared(log: Path, how: str, notes: list[str]) -> Prepared:
    return await prepare(PREPARE, os.environ | {"FAKE_PREPARE": how}, log, notes.append)


def test_prepared_data_are_counted_and_progress_is_told(tmp_path: Path) -> None:
    async def test() -> None:
        notes: list[str] = []
        result = await prepared(tmp_path / "log", "", notes)
        assert (result.samples, result.validation_samples, result.error) == (10, 2, None)
        assert notes == ["downloading: 5.0 kB of 10.0 kB"]

    run(test)


@pytest.mark.parametrize(
    ("how", "kind", "words"),
    [
        ("missing", errors.DataMissing, "no data there"),
        ("crash", errors.StartFailed, "ended with status 1\n    something broke"),
    ],
)
def test_data_that_cannot_be_prepared_say_why(
    tmp_path: Path, how: str, kind: type[errors.EvenerError], words: str
) -> None:
    async def test() -> None:
        result = await prepared(tmp_path / "log", how, [])
        assert type(result.error) is kind
        assert words in result.error.what

    run(test)


def test_a_cancelled_preparation_leaves_no_process(tmp_path: Path) -> None:
    """The leak police would find it."""

    async def test() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await prepared(tmp_path / "log", "slow", [])

    run(test)


def test_progress_without_a_total_is_a_text() -> None:
    assert progress_text({"text": "tokenising", "done_bytes": 5, "total_bytes": 0}) == "tokenising"
