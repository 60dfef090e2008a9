"""The network between machines fails: who is left trains on, and all of them once it is back."""

from __future__ import annotations

import shutil
import subprocess
import time
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

    @contextmanager
    def losing(self, part: float, *ways: tuple[str, str]) -> Iterator[None]:
        """So much of what the first of each two sends the second does not arrive at once."""
        chance = ("-m", "statistic", "--mode", "random", "--probability", str(part))
        for source, to in ways:
            self._filter("-I", source, to, *chance)
        yield
        for source, to in ways:
            self._filter("-D", source, to, *chance)

    @contextmanager
    def narrow(self, name: str, rate: str) -> Iterator[None]:
        """It sends no more than that."""
        shape = ["tc", "qdisc", "add", "dev", "eth0", "root", "tbf"]
        bounds = ["rate", rate, "burst", "16kbit", "latency", "400ms"]
        self._inside(name, *shape, *bounds)
        yield
        self._inside(name, "tc", "qdisc", "del", "dev", "eth0", "root")

    def around(self, name: str) -> list[tuple[str, str]]:
        """All ways from and to one of them."""
        others = self.names - {name}
        return [*((name, other) for other in others), *((other, name) for other in others)]

    def _filter(self, change: str, source: str, to: str, *when: str) -> None:
        rule = ["INPUT", "-s", self._address[source], *when, "-j", "DROP"]
        self._inside(to, "iptables", "-w", change, *rule)

    def _inside(self, name: str, *command: str) -> None:
        subprocess.run(["nsenter", f"--net={self._namespace[name]}", *command], check=True)


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
def going(
    shell: Shell, docker: Docker, workers: int, *words: str
) -> Iterator[tuple[Wires, Watched]]:
    """A run in so many containers, and then nothing of it lost and nothing twice."""
    job = shell.write_long_job()
    run = shell.detach(job, "--workers", str(workers), *words)
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
    """Of three; then of those two that are left, of whom neither can know more."""
    with going(docker_shell, docker, workers=3) as (wires, watched):
        for lost in (1, 0):  # some machine; the first one, whose agent leads
            with wires.cut(*wires.around(f"machine-{lost}")):
                watched.await_ranks(tuple(rank for rank in range(3) if rank != lost))
            watched.await_ranks((0, 1, 2))
        with wires.cut(("machine-2", "machine-0"), ("machine-2", "machine-1")):  # one way
            watched.await_ranks((0, 1))
        watched.await_ranks((0, 1, 2))

        # these two do not reach each other, which keeps the third from nothing
        with wires.cut(("machine-1", "machine-2"), ("machine-2", "machine-1")):
            watched.await_ranks((0, 1), (0, 2))
            formed = watched.formed
            watched.await_more()
            assert watched.formed == formed
        watched.await_ranks((0, 1, 2))

        third = docker.containers(docker_shell.run())["machine-2"]
        docker.engine.call("kill", "--signal=TERM", third)
        watched.await_ranks((0, 1))
        with wires.cut(("machine-0", "machine-1"), ("machine-1", "machine-0")):
            watched.await_ranks((0,), (1,))
        watched.await_ranks((0, 1))


@contextmanager
def slowed(docker: Docker, container: str) -> Iterator[None]:
    """To a tenth of a processor, of the ten milliseconds that are dealt out at a time."""
    docker.engine.call("update", "--cpu-period=10000", "--cpu-quota=1000", container)
    yield
    docker.engine.call("update", "--cpu-period=10000", "--cpu-quota=0", container)


def test_what_is_bad_but_there_is_left_out_by_nobody(docker: Docker, docker_shell: Shell) -> None:
    """A link that loses, is narrow, or is gone for a moment again and again; a slow machine."""
    patient = ("-o", "membership.dead_s=12")  # who tests this may be busy with other things
    with going(docker_shell, docker, 3, *patient) as (wires, watched):
        formed, around = watched.formed, wires.around("machine-1")
        with wires.losing(0.05, *around):
            watched.await_more()
        with wires.narrow("machine-1", "10mbit"):
            watched.await_more()
        for _ in range(3):
            with wires.cut(*around):
                time.sleep(2)
            watched.await_more()
        with slowed(docker, docker.containers(docker_shell.run())["machine-2"]):
            watched.await_more()
        assert watched.formed == formed
