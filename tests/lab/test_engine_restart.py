"""The engine restarts, or loses power, in mid-run: the run goes on by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from evener.events import CheckpointWritten, GenerationFormed, RunEnded, StepCommitted
from tests.lab.engine import Daemon
from tests.lab.place import Place

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

RUN = "long"
PATIENCE_S = 240.0
BUILD_S = 800.0  # the first test of a session waits for the image


@pytest.fixture
def place(tmp_path: Path, daemon: Daemon, wheels: Path) -> Iterator[Place]:
    place = Place(tmp_path, daemon.host, wheels)
    yield place
    place.evener("stop", RUN, "--now")


class Follower:
    """A person's `evener run` in the foreground."""

    def __init__(self, process: subprocess.Popen[str], said: Path) -> None:
        self.process, self._said = process, said

    @property
    def said(self) -> str:
        return self._said.read_text(encoding="utf-8")


@contextmanager
def following(place: Place) -> Iterator[Follower]:
    said = place.folder / "said"
    command = [sys.executable, "-m", "evener", "run", "long.toml", "--on", "docker", "--workers=2"]
    with said.open("w") as file:
        process = subprocess.Popen(
            command, cwd=place.folder, env=place.env, stdout=file, stderr=file, text=True
        )
    try:
        until(lambda: place.run(RUN).db.exists(), process, BUILD_S)
        yield Follower(process, said)
    finally:
        process.kill()
        process.wait()


def until(
    holds: Callable[[], bool],
    process: subprocess.Popen[str] | None = None,
    limit_s: float = PATIENCE_S,
) -> None:
    deadline = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline, "it does not come about"
        assert process is None or process.poll() is None, "the follower has left"
        time.sleep(0.2)


def steps(place: Place) -> list[int]:
    return [e.step for e in place.records(RUN, StepCommitted)]  # type: ignore[attr-defined]


def generations(place: Place) -> list[GenerationFormed]:
    return place.records(RUN, GenerationFormed)  # type: ignore[return-value]


def goes_on(place: Place, follower: Follower) -> None:
    """With both ranks, from where it stood, in the eyes of whoever watches."""
    before = len(generations(place))
    until(lambda: len(generations(place)) > before, follower.process)
    until(lambda: generations(place)[-1].ranks == (0, 1), follower.process)
    place.await_step(RUN, max(steps(place)) + 20)
    assert "E604" not in follower.said
    assert place.records(RUN, RunEnded) == []


def stop(place: Place, follower: Follower) -> None:
    stopped = place.evener("stop", RUN)
    assert stopped.returncode == 0, stopped.stderr
    assert follower.process.wait(60) == 130
    until(lambda: place.left() == [])
    assert [e.outcome for e in place.records(RUN, RunEnded)] == ["stopped"]  # type: ignore[attr-defined]


def test_a_run_goes_on_where_the_engines_restart_left_it(place: Place, daemon: Daemon) -> None:
    with following(place) as follower:
        place.await_step(RUN, 50)
        daemon.stop()
        assert follower.process.poll() is None
        daemon.start()
        goes_on(place, follower)
        stopped_at = {e.step for e in place.records(RUN, CheckpointWritten)}  # type: ignore[attr-defined]
        assert generations(place)[-1].step in stopped_at
        numbers = [g.generation for g in generations(place)]
        assert numbers == sorted(set(numbers))
        stop(place, follower)
        counted = Counter(steps(place))
        assert set(counted) == set(range(1, max(counted) + 1))
        assert set(counted.values()) == {1}
        daemon.stop()  # what has ended is not started again
        daemon.start()
        assert place.left() == []


@pytest.mark.parametrize("how", [Daemon.kill, Daemon.lose_power])
def test_a_run_goes_on_after_the_engine_was_killed(
    place: Place, daemon: Daemon, how: Callable[[Daemon], None]
) -> None:
    with following(place) as follower:
        place.await_step(RUN, 50)
        how(daemon)
        daemon.start()
        goes_on(place, follower)
        stop(place, follower)
        committed = set(steps(place))
        assert committed == set(range(1, max(committed) + 1))


def test_a_machine_that_is_stopped_by_hand_leaves_and_the_others_go_on(place: Place) -> None:
    with following(place) as follower:
        place.await_step(RUN, 20)
        (machine,) = (c["ID"] for c in place.containers() if c["Names"].endswith("machine-0"))
        place.engine.call("stop", machine)
        until(lambda: generations(place)[-1].ranks == (1,), follower.process)
        place.await_step(RUN, max(steps(place)) + 20)
        place.engine.call("start", machine)
        until(lambda: generations(place)[-1].ranks == (0, 1), follower.process)
        stop(place, follower)
        assert set(steps(place)) == set(range(1, max(steps(place)) + 1))


def test_a_head_that_is_killed_comes_back_and_its_follower_does_not_mind(place: Place) -> None:
    with following(place) as follower:
        place.await_step(RUN, 20)
        os.kill(place.pid_of("head"), signal.SIGKILL)
        place.await_step(RUN, max(steps(place)) + 200)
        assert follower.process.poll() is None
        assert place.pid_of("head") > 0
        stop(place, follower)
        assert set(steps(place)) == set(range(1, max(steps(place)) + 1))
