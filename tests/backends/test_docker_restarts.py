"""The engine restarts, or loses power, in mid-run: the run goes on by itself."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from evener.events import CheckpointWritten, GenerationFormed, RunEnded, StepCommitted
from evener.rundir.layout import RunDir
from tests.backends.places import Docker
from tests.backends.shell import BUILD_S, PATIENCE_S, Shell, events, last_step, until
from tests.lab.engine import Daemon

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


class Watched:
    """A run, and the person's `evener run` that follows it in the foreground."""

    def __init__(self, shell: Shell, follower: subprocess.Popen[str]) -> None:
        self.run, self._shell, self._follower = shell.run(), shell, follower

    def until(self, holds: Callable[[], bool], otherwise: str) -> None:
        def followed() -> bool:
            assert self._follower.poll() is None, "the follower has left"
            return holds()

        until(followed, otherwise)

    def await_more(self, steps: int) -> None:
        wanted = last_step(self.run) + steps
        self.until(lambda: last_step(self.run) >= wanted, f"it does not come to step {wanted}")

    def await_ranks(self, *ranks: int, since: int = 0) -> None:
        """A generation of these ranks, after the first `since`."""

        def there() -> bool:
            return any(g.ranks == ranks for g in generations(self.run)[since:])

        self.until(there, f"ranks {ranks} do not train together")

    def stop(self) -> None:
        stopped = self._shell.evener("stop", self.run.name)
        assert stopped.returncode == 0, stopped.stderr
        said, _ = self._follower.communicate(timeout=PATIENCE_S)
        assert self._follower.returncode == 130
        assert "E604" not in said
        assert [e.outcome for e in events(self.run, RunEnded)] == ["stopped"]


@contextmanager
def watched(shell: Shell, steps: int) -> Iterator[Watched]:
    """Once so many steps are done."""
    with shell.attached(shell.write_long_job()) as follower:
        found = Watched(shell, follower)
        until(found.run.db.exists, "the run does not begin", BUILD_S)
        found.await_more(steps)
        yield found


def generations(run: RunDir) -> list[GenerationFormed]:
    return events(run, GenerationFormed)


def times_told(run: RunDir) -> Counter[int]:
    return Counter(e.step for e in events(run, StepCommitted))


def every_step(run: RunDir) -> set[int]:
    return set(range(1, last_step(run) + 1))


def test_a_run_goes_on_where_the_engines_restart_left_it_and_after_the_engine_was_killed(
    docker_shell: Shell, daemon: Daemon
) -> None:
    with watched(docker_shell, steps=50) as seen:
        before = len(generations(seen.run))
        daemon.stop()
        daemon.start()
        seen.await_ranks(0, 1, since=before)
        seen.await_more(20)
        assert events(seen.run, RunEnded) == []
        assert generations(seen.run)[-1].step in {
            e.step for e in events(seen.run, CheckpointWritten)
        }
        numbers = [g.generation for g in generations(seen.run)]
        assert numbers == sorted(set(numbers))
        told = times_told(seen.run)
        assert set(told) == set(range(1, max(told) + 1))
        assert set(told.values()) == {1}

        for kill in (Daemon.kill, Daemon.lose_power):
            before = len(generations(seen.run))
            kill(daemon)
            daemon.start()
            seen.await_ranks(0, 1, since=before)
            seen.await_more(20)
            # A checkpoint may be ahead of the record: who was killed could not say its last second.
            behind = generations(seen.run)[before].step
            assert every_step(seen.run) - set(range(behind + 1)) <= set(times_told(seen.run))
        seen.stop()
    daemon.stop()
    daemon.start()
    docker_shell.await_nothing_left()  # what has ended is not started again


def test_a_machine_that_is_stopped_by_hand_and_a_head_that_is_killed_come_back(
    docker: Docker, docker_shell: Shell
) -> None:
    with watched(docker_shell, steps=20) as seen:
        machine = docker.containers(seen.run)["machine-0"]
        before = len(generations(seen.run))
        docker.engine.call("stop", machine)
        seen.await_ranks(1, since=before)
        seen.await_more(20)
        before = len(generations(seen.run))
        docker.engine.call("start", machine)
        seen.await_ranks(0, 1, since=before)

        pid = docker.pid_of(seen.run, "head")
        os.kill(pid, signal.SIGKILL)
        seen.until(
            lambda: (
                docker.containers(seen.run).get("head") is not None
                and docker.pid_of(seen.run, "head") not in (0, pid)
            ),
            "the head does not come back",
        )
        seen.await_more(50)
        seen.stop()
        assert set(times_told(seen.run)) == every_step(seen.run)
