"""The places, each as the tests see it: what a job says of it, what is left there, how to harm it.

A new place is a subclass here and an entry in `conftest.PLACES`; the tests do not change.
"""

from __future__ import annotations

import os
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from evener import contract
from evener.docker import Engine
from evener.events import RankStarted
from evener.launch.containers import identity, label_filter
from evener.launch.places import head_of
from evener.rundir.layout import RunDir
from evener.rundir.store import Store
from tests.lab import swarm as lab

PROC = Path("/proc")
BUILDS = ("local", "docker")  # where an image that was built for a run is where it runs
NEAR = ("local", "docker")  # where whoever stops a run, or is lost to it, is on the same machine
CONTAINED = ("docker", "swarm")  # of processes alone, other tests show it
SOON_S = 60.0  # on a busy machine
_SECOND = f"{contract.PREFIX}AGENT=a01".encode()
_ASK = f"""
import http.client, sys
method, path, key = sys.argv[1:]
head = http.client.HTTPConnection("127.0.0.1", {contract.HEAD_PORT})
head.request(method, path, headers={{"Authorization": "Bearer " + key}})
answer = head.getresponse()
print(answer.status, answer.read().decode(), sep="\\n")
"""


class Place(ABC):
    """Where runs are started; `environ` is what a shell needs to reach it."""

    name: str
    job = ""  # what a job says only here
    environ: dict[str, str]
    inside: tuple[str, ...] = ()  # before a command, where it is to run in the place's network

    @abstractmethod
    def left(self, folder: Path) -> list[str]:
        """Everything that lives of the runs under `folder`, and what dead ones left here."""

    def helpers(self, folder: Path) -> list[str]:
        """Processes beside the runs, that end a moment after them."""
        return []

    @abstractmethod
    def strike(self, run: RunDir) -> None:
        """Kill what this place has of the machine with rank 1, without a warning."""

    @abstractmethod
    def page(self, run: RunDir, method: str, path: str, key: str = "") -> tuple[int, str]:
        """Status and answer of the run's page; with its own key, unless `key` is another."""


class Local(Place):
    """Processes of this machine."""

    name = "local"
    job = "[local]\nworkers = 2\nthreads = 1\n"

    def __init__(self) -> None:
        self.environ = {}

    def left(self, folder: Path) -> list[str]:
        return [f"process {pid}: {_words(pid)}" for pid in _processes_of(folder)]

    def strike(self, run: RunDir) -> None:
        """Here a machine is a rank's process: an agent that is killed has nobody to start it."""
        with Store.open(run.db, write=False) as store:
            started = [r.event for r in store.records() if isinstance(r.event, RankStarted)]
        os.kill([each.pid for each in started if each.rank == 1][-1], signal.SIGKILL)

    def page(self, run: RunDir, method: str, path: str, key: str = "") -> tuple[int, str]:
        place = head_of(run)
        assert place is not None
        bearer = {"Authorization": f"Bearer {key or contract.page_key(place.secret)}"}
        answer = httpx.request(method, f"http://{place.address}{path}", headers=bearer)
        return answer.status_code, answer.text


class Pool(Local):
    """Processes of machines that have joined by hand; their head is one of this machine."""

    name = "pool"
    job = "[local]\nthreads = 1\n"

    def __init__(self, state: Path, environ: dict[str, str]) -> None:
        """`state` is where these machines keep what is theirs, `environ` makes a command one of the
        machine that has the pool."""
        self._state, self.environ = state, environ

    def left(self, folder: Path) -> list[str]:
        """A head ends when its agents have said goodbye, and they a moment later."""
        deadline = time.monotonic() + SOON_S
        while (found := self._left(folder)) and time.monotonic() < deadline:
            time.sleep(0.1)
        return found

    def _left(self, folder: Path) -> list[str]:
        return [*super().left(folder), *super().left(self._state)]

    def helpers(self, folder: Path) -> list[str]:
        return [f"janitor {pid}" for pid in _janitors(folder)]

    def strike(self, run: RunDir) -> None:
        """The agent of the second machine: what has started it lives, and does so again."""
        [agent] = [p for p in _processes_of(self._state) if _SECOND in _environ(p) and _is_agent(p)]
        os.kill(agent, signal.SIGKILL)


class Docker(Place):
    """Containers of one engine."""

    name = "docker"

    def __init__(self, host: str, wheels: Path) -> None:
        self.host = host
        self.environ = {"DOCKER_HOST": host}
        self.job = f'[local]\nworkers = 2\n[image]\nwheels = "{wheels}"\n'
        self.engine = Engine(("docker", "-H", host))

    def left(self, folder: Path) -> list[str]:
        return [*self._objects(folder), *self.litter()]

    def helpers(self, folder: Path) -> list[str]:
        return [f"janitor {pid}" for pid in _janitors(folder)]

    def kill_janitors(self, folder: Path) -> None:
        for pid in _janitors(folder):
            os.kill(pid, signal.SIGKILL)

    def _objects(self, folder: Path) -> Iterator[str]:
        runs = [RunDir(path) for path in (folder / contract.RUN_DIR_DEFAULT).glob("*")]
        for ours in map(label_filter, runs):
            for found in self.engine.ask("ps", "--all", ours):
                yield f"container {found['Names']}: {found['Status']}"
            for found in self.engine.ask("network", "ls", ours):
                yield f"network {found['Name']}"

    def litter(self) -> list[str]:
        """Volumes, and images without a name, of which a run leaves none."""
        volumes = self.engine.call("volume", "ls", "--quiet").split()
        images = self.engine.call("image", "ls", "--quiet", "--filter=dangling=true").split()
        return [*(f"volume {v}" for v in volumes), *(f"image {i}" for i in images)]

    def build(self, tag: str, dockerfile: str) -> None:
        with TemporaryDirectory() as folder:
            (Path(folder) / "Dockerfile").write_text(dockerfile)
            self.engine.build(folder, f"{folder}/Dockerfile", tag, {}, lambda _: None)

    def strike(self, run: RunDir) -> None:
        os.kill(self.pid_of(run, "machine-1"), signal.SIGKILL)

    def page(self, run: RunDir, method: str, path: str, key: str = "") -> tuple[int, str]:
        """Asked where it is: this engine's ports are in a network of its own."""
        key = key or contract.page_key(run.secret_file.read_text().strip())
        head = self.containers(run)["head"]
        said = self.engine.call("exec", head, "python", "-c", _ASK, method, path, key)
        status, _, text = said.partition("\n")
        return int(status), text

    def containers(self, run: RunDir) -> dict[str, str]:
        """The identities of the run's containers, by the name in their network."""
        prefix = f"evener-{run.name}-{identity(run)}-"
        found = self.engine.ask("ps", label_filter(run))
        return {each["Names"].removeprefix(prefix): each["ID"] for each in found}

    def pid_of(self, run: RunDir, machine: str) -> int:
        container = self.containers(run)[machine]
        return int(self.engine.call("inspect", "--format={{.State.Pid}}", container))


class Swarm(Docker):
    """Containers on the engines of a Swarm, started on its manager."""

    name = "swarm"

    def __init__(
        self, swarm: lab.Swarm, wheels: Path, workers: int | None = None, *, manager: int = 0
    ) -> None:
        """On all machines unless there are to be `workers`."""
        super().__init__(swarm.engines[manager].host, wheels)
        self.swarm = swarm
        self.inside = swarm.engines[manager].inside
        count = f"workers = {workers}\n" if workers else ""
        self.job = f'[local]\ndevice = "cpu"\n{count}[image]\nwheels = "{wheels}"\n'
        self._each = [Engine(("docker", "-H", each.host)) for each in swarm.engines]

    def left(self, folder: Path) -> list[str]:
        """The other machines remove theirs when the manager has: that takes them a moment."""
        deadline = time.monotonic() + SOON_S
        while (found := super().left(folder)) and time.monotonic() < deadline:
            time.sleep(0.2)
        return found

    def _objects(self, folder: Path) -> Iterator[str]:
        """On any machine."""
        for path in (folder / contract.RUN_DIR_DEFAULT).glob("*"):
            yield from self._of_run(RunDir(path))

    def _of_run(self, run: RunDir) -> Iterator[str]:
        ours = label_filter(run)
        for kind in ("service", "secret"):
            for found in self.engine.ask(kind, "ls", ours, short=True):
                yield f"{kind} {found['Name']}"
        for number, engine in enumerate(self._each):
            for found in engine.ask("ps", "--all", ours):
                yield f"container {found['Names']} on machine {number}: {found['Status']}"
            for found in engine.ask("network", "ls", ours):
                yield f"network {found['Name']} on machine {number}"

    def litter(self) -> list[str]:
        """Volumes that no container has: other runs may go on."""
        unused = ("volume", "ls", "--quiet", "--filter=dangling=true")
        return [volume for engine in self._each for volume in engine.call(*unused).split()]

    def strike(self, run: RunDir) -> None:
        """The container on the second machine."""
        engine = self._each[1]
        [found] = engine.ask("ps", label_filter(run))
        os.kill(int(engine.call("inspect", "--format={{.State.Pid}}", found["ID"])), signal.SIGKILL)


def _processes_of(folder: Path) -> list[int]:
    """Those that were told that their run is under `folder`."""
    told = f"{contract.PREFIX}RUN_DIR={folder.resolve()}/".encode()
    return [pid for pid in _pids() if any(e.startswith(told) for e in _environ(pid))]


def _janitors(folder: Path) -> list[int]:
    found = [pid for pid in _pids() if "evener.launch.janitor" in _words(pid)]
    return [pid for pid in found if f"{folder.resolve()}/" in _words(pid)]


def _is_agent(pid: int) -> bool:
    return "evener.agent" in _words(pid)


def _pids() -> list[int]:
    return [int(path.name) for path in PROC.iterdir() if path.name.isdigit()]


def _environ(pid: int) -> list[bytes]:
    return _read(pid, "environ").split(b"\0")


def _words(pid: int) -> str:
    return _read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()


def _read(pid: int, name: str) -> bytes:
    try:
        return (PROC / str(pid) / name).read_bytes()
    except OSError:
        return b""  # it has ended
