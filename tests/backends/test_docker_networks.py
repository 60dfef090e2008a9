"""The network between machines fails: who is left trains on, and all of them once it is back."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from evener import audit
from evener.events import GenerationFormed
from evener.rundir.layout import RunDir
from tests.backends.places import Docker
from tests.backends.shell import Shell, events, last_step, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        shutil.which("nsenter") is None or shutil.which("iptables") is None,
        reason="nsenter and iptables are needed to cut containers off",
    ),
]
HEAD = "head"


class Wires:
    """The ways between a run's containers."""

    def __init__(self, docker: Docker, run: RunDir) -> None:
        self._address: dict[str, str] = {}
        self._namespace: dict[str, str] = {}
        address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        for name, container in docker.containers(run).items():
            words = docker.engine.call("inspect", f"-f={{{{.State.Pid}}}} {address}", container)
            pid, self._address[name] = words.split()
            self._namespace[name] = f"/proc/{pid}/ns/net"

    @property
    def names(self) -> set[str]:
        return {*self._address}

    @contextmanager
    def cut(self, *ways: tuple[str, str]) -> Iterator[None]:
        """Nothing of the first of each two arrives at the second."""
        for source, to in ways:
            self._filter("-I", source, to)
        yield
        for source, to in ways:
            self._filter("-D", source, to)

    def around(self, name: str) -> list[tuple[str, str]]:
        """All ways from and to one of them."""
        others = self.names - {name}
        return [*((name, other) for other in others), *((other, name) for other in others)]

    def _filter(self, change: str, source: str, to: str) -> None:
        inside = ["nsenter", f"--net={self._namespace[to]}"]
        rule = ["INPUT", "-s", self._address[source], "-j", "DROP"]
        subprocess.run([*inside, "iptables", "-w", change, *rule], check=True)


class Watched:
    """What a run's record says of who trains."""

    def __init__(self, run: RunDir) -> None:
        self._run = run

    def await_ranks(self, *choices: tuple[int, ...]) -> None:
        """The newest generation is of one of these, and gets on."""
        until(lambda: self._ranks() in choices, lambda: f"{self._ranks()} train, not {choices}")
        self.await_more()

    def await_more(self) -> None:
        wanted = last_step(self._run) + 10
        until(lambda: last_step(self._run) >= wanted, f"it does not come to step {wanted}")

    @property
    def formed(self) -> int:
        return len(events(self._run, GenerationFormed))

    def _ranks(self) -> tuple[int, ...]:
        return events(self._run, GenerationFormed)[-1].ranks


@contextmanager
def going(shell: Shell, docker: Docker, workers: int) -> Iterator[tuple[Wires, Watched]]:
    """A run in so many containers, and then nothing of it lost and nothing twice."""
    job = shell.write_job(steps=1_000_000)
    run = shell.detach(job, "--workers", str(workers))
    shell.await_step(run, 10)
    watched = Watched(run)
    watched.await_ranks(tuple(range(workers)))
    yield Wires(docker, run), watched
    stopped = shell.evener("stop", run.name)
    assert stopped.returncode == 0, stopped.stderr
    assert [finding for finding in audit.audit(run) if not finding.kept] == []


def test_whoever_is_cut_off_is_left_out_until_it_is_back(
    docker: Docker, docker_shell: Shell
) -> None:
    with going(docker_shell, docker, workers=3) as (wires, watched):
        for lost in (1, 0):  # some machine; the first one, whose agent leads
            with wires.cut(*wires.around(f"machine-{lost}")):
                watched.await_ranks(tuple(rank for rank in range(3) if rank != lost))
            watched.await_ranks((0, 1, 2))
        with wires.cut(("machine-2", "machine-0"), ("machine-2", "machine-1")):  # one way
            watched.await_ranks((0, 1))
        watched.await_ranks((0, 1, 2))


def test_two_that_do_not_reach_each_other_do_not_keep_the_third_from_training(
    docker: Docker, docker_shell: Shell
) -> None:
    with going(docker_shell, docker, workers=3) as (wires, watched):
        with wires.cut(("machine-1", "machine-2"), ("machine-2", "machine-1")):
            watched.await_ranks((0, 1), (0, 2))
            formed = watched.formed
            watched.await_more()
            assert watched.formed == formed
        watched.await_ranks((0, 1, 2))


def test_of_two_that_lose_sight_of_each_other_both_go_on(
    docker: Docker, docker_shell: Shell
) -> None:
    with going(docker_shell, docker, workers=2) as (wires, watched):
        with wires.cut(("machine-0", "machine-1"), ("machine-1", "machine-0")):
            watched.await_ranks((0,), (1,))
        watched.await_ranks((0, 1))
