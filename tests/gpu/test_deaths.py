"""A GPU and a processor in one run of real processes, one of which is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from evener.events import GenerationFormed, RankBuilt, RankStarted
from tests.backends import shell as shells
from tests.backends.places import Local
from tests.backends.shell import Shell, check_steps, events, until

pytestmark = [pytest.mark.gpu, pytest.mark.slow]


class Mixed(Local):
    job = '[local]\ndevice = "cuda"\ncpu_workers = 1\nthreads = 1\n'


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path, Mixed())
    yield shell
    shell.stop_all()
    shell.await_nothing_left()


@pytest.mark.parametrize("victim", [0, 1], ids=["the GPU's", "the processor's"])
def test_a_rank_that_is_killed_is_replaced_and_takes_the_state_of_the_other(
    shell: Shell, victim: int
) -> None:
    run = shell.detach(shell.write_job(steps=100_000))
    shell.await_step(run, 20)
    assert {e.rank: e.device for e in events(run, RankBuilt)} == {0: "cuda:0", 1: "cpu"}
    [pid] = [e.pid for e in events(run, RankStarted) if e.rank == victim]
    os.kill(pid, signal.SIGKILL)
    until(lambda: events(run, GenerationFormed)[-1].ranks == (1 - victim,), "nobody misses it")
    until(lambda: events(run, GenerationFormed)[-1].ranks == (0, 1), "it does not come back")
    shell.await_step(run, shells.last_step(run) + 20)
    assert shell.evener("stop").returncode == 0
    check_steps(run)
    shell.await_nothing_left()
