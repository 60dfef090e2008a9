"""This machine in a pool as a container of its engine, in the image that the pool hands on.

In the container is what else would be a process of this machine (`joiner`): it joins by itself, and
what it must not forget is in a volume. The engine starts it again when it dies, and when the
machine was off; one that has left the pool ends well, and is not started again. Where the pool has
a mesh, a second container has it for the first (`beside`). Here is kept what the machine's owner
needs to see the pool, and to leave.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from dataclasses import dataclass, field

from evener import contract, errors
from evener.docker import Engine
from evener.pool import house
from evener.pool.client import AnsweredError, Client
from evener.pool.house import Joined
from evener.wire import calls

NAME = "evener"  # of the container, and of its volume
SIDE = "evener-mesh"  # of the one that alone may make a network device
SHARED, APART = "shared", "apart"  # whose network both are on: the machine's, or their own
STOP_S = 40  # above the time in which its agents say goodbye
START_S = 60.0  # for it to have joined: a cold disk reads Python slowly
LEAVE_S = 50.0
_TAIL_LINES = 6
_POLL_S = 0.2
_READ = f'cat "{contract.IMAGE_RUNS}"/evener/joined/*/joined.json'
_EVENER = ("python", "-P", "-m", "evener")
_NOBODY = 65534
_MESH = f"{contract.IMAGE_RUNS}/mesh"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a container is started with. `mesh` is empty for none, else whose network it is on;
    `host` is what its machine is called there, where that is known here."""

    code: str = field(repr=False)
    image: str
    at: str | None = None
    gpus: bool = False
    mesh: str = ""
    host: str = ""


def line(by: Entry) -> tuple[str, ...]:
    """What follows `docker`: a network, its ranks' memory, a volume for what it must not forget,
    and nothing else: no rights, nothing of the machine's disk.

    An engine that goes away, to be back, says so by a signal of its own: the status with which the
    container then ends is one after which it is started again.
    """
    home = contract.IMAGE_RUNS
    network = f"container:{SIDE}" if by.mesh == APART else "host"
    return (
        *("run", "--detach", "--init", f"--name={NAME}", "--restart=on-failure"),
        *(f"--stop-signal={contract.AWAY_SIGNAL}", f"--stop-timeout={STOP_S}"),
        *(f"--network={network}", "--shm-size=1g", f"--user={_NOBODY}:{_NOBODY}"),
        *("--cap-drop=ALL", "--security-opt=no-new-privileges", f"--volume={NAME}:{home}"),
        *(f"--env=XDG_STATE_HOME={home}", f"--env={contract.CACHE_VARIABLE}={home}/cache"),
        *((f"--env={contract.MESH_VARIABLE}={_MESH}",) if by.mesh else ()),
        *(("--gpus=all",) if by.gpus else ()),
        *(by.image, *_EVENER, "join", "--foreground"),
        *(("--at", by.at) if by.at else ()),
        by.code,
    )


def side_line(by: Entry) -> tuple[str, ...]:
    """The same of the container beside it, which is started first. It has one right, over the
    network that both are on; it runs no code of anybody's, and writes into the volume alone, where
    the other's group is what lets it read what that says."""
    home = contract.IMAGE_RUNS
    own = (f"--hostname={by.host}",) if by.host else ()
    return (
        *("run", "--detach", "--init", f"--name={SIDE}", "--restart=on-failure"),
        *(("--network=host",) if by.mesh == SHARED else own),
        *(f"--user=0:{_NOBODY}", "--cap-drop=ALL", "--cap-add=NET_ADMIN", "--device=/dev/net/tun"),
        *("--security-opt=no-new-privileges", "--read-only", f"--volume={NAME}:{home}"),
        *(by.image, "python", "-P", "-m", "evener.pool", "beside", _MESH),
    )


@dataclass(frozen=True, slots=True)
class State:
    """Of the container, as its engine says it."""

    status: str  # "running", "restarting", "exited", ...
    exit_status: int
    restarts: int

    @property
    def is_up(self) -> bool:
        return self.status == "running"

    @property
    def has_left(self) -> bool:
        """It ended as one ends that is in no pool any more."""
        return self.status == "exited" and self.exit_status == 0


@dataclass(frozen=True, slots=True)
class Container:
    """This machine's, on `engine`."""

    engine: Engine

    @property
    def alive(self) -> bool:
        now = self.state()
        return now is not None and now.is_up

    @property
    def where(self) -> str:
        return f"docker logs {NAME}"

    def last_words(self) -> str:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            words = self.engine.last_words(NAME, _TAIL_LINES)
            return "".join(f"\n    {each}" for each in words)
        return ""

    def state(self, name: str = NAME) -> State | None:
        """Also of the one beside it. None where there is none."""
        form = "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}"
        try:
            said = self.engine.call("container", "inspect", f"--format={form}", name)
        except errors.DockerFailed:
            return None
        status, exit_status, restarts = said.split()
        return State(status, int(exit_status), int(restarts))

    @property
    def has_mesh(self) -> bool:
        """Whether the one beside it runs."""
        beside = self.state(SIDE)
        return beside is not None and beside.is_up

    def remove(self) -> None:
        """And what it remembers."""
        for command in (("rm", "--force", NAME, SIDE), ("volume", "rm", "--force", NAME)):
            with contextlib.suppress(errors.DockerFailed):
                self.engine.call(*command)


def check_free(container: Container) -> None:
    """Raises NoPool where one is there already that we know nothing of."""
    there = [name for name in (NAME, SIDE) if container.state(name) is not None]
    if there:
        raise errors.NoPool(
            f"a container {there[0]} is on this engine already, from a `docker run` line",
            where=f"docker ps --all --filter name={NAME}",
            fix=f"where it is to go: docker rm --force {NAME} {SIDE}, docker volume rm {NAME}; "
            "then join",
        )


class NoMeshError(Exception):
    """Why the engine does not start the container that is to have it."""


def start(container: Container, by: Entry) -> Joined:
    """What it is in the pool, once it is; nothing of it stays where it does not get there. Raises
    NoMeshError."""
    try:
        _start_side(container, by)
        container.engine.call(*line(by))
        joined = _await(container)
    except BaseException:
        container.remove()
        raise
    house.write_joined(house.joined_folder(), joined)
    return joined


def _start_side(container: Container, by: Entry) -> None:
    if not by.mesh:
        return
    try:
        container.engine.call(*side_line(by))
    except errors.DockerFailed as error:
        raise NoMeshError(error.what.splitlines()[-1].strip()) from error


def _await(container: Container) -> Joined:
    deadline = time.monotonic() + START_S
    while True:
        found = _remembered(container)
        if found is not None:
            return found
        now = container.state()
        fails = now is None or not now.is_up or now.restarts > 0
        if fails or time.monotonic() > deadline:
            raise errors.StartFailed(
                f"the container does not join the pool{container.last_words()}",
                where=f"docker run {NAME}",
                fix="the lines above are its own; the container is removed again",
            )
        time.sleep(_POLL_S)


def _remembered(container: Container) -> Joined | None:
    """Of what it keeps, what we need to know: its evener may be another than ours."""
    with contextlib.suppress(errors.DockerFailed, ValueError, KeyError):
        told = json.loads(container.engine.call("exec", NAME, "sh", "-c", _READ))
        return Joined(
            tuple(map(str, told["servers"])),
            str(told["member"]),
            str(told["name"]),
            str(told["secret"]),
            container=NAME,
        )
    return None


def again(container: Container, known: Joined, at: str | None) -> Joined:
    """Started, if it was stopped; told where the pool is, if that is known."""
    with contextlib.suppress(errors.DockerFailed):  # there may be none
        container.engine.call("start", SIDE)
    try:
        container.engine.call("start", NAME)
    except errors.DockerFailed as error:
        raise errors.NoPool(
            f"the container in which this machine was in the pool of {known.where} cannot be "
            f"started: {error.what.splitlines()[-1].strip()}",
            where=f"docker start {NAME}",
            fix="`evener leave`, then `evener join CODE`",
        ) from error
    if at:
        container.engine.call("exec", NAME, *_EVENER, "join", "--at", at)
    return current(container, known)


def current(container: Container, known: Joined) -> Joined:
    """What it knows now: the pool may have moved."""
    found = _remembered(container) or known
    house.write_joined(house.joined_folder(), found)
    return found


def settled() -> Joined | None:
    """What this machine is in, without what has ended meanwhile: a pool that is no more has told
    the container so."""
    folder = house.joined_folder()
    known = house.read_joined(folder)
    if known is None or not known.container:
        return known
    container = Container(Engine())
    now = container.state()
    if now is not None and now.has_left:
        _forget(container)
        return None
    return known


def leave(container: Container, known: Joined) -> None:
    """Its agents leave their runs, the pool forgets it, and nothing of it stays here but the
    image."""
    now = container.state()
    if now is not None and now.is_up:
        with contextlib.suppress(errors.DockerFailed):  # it ends, and this command with it
            container.engine.call("exec", NAME, *_EVENER, "leave", timeout_s=LEAVE_S)
        deadline = time.monotonic() + LEAVE_S
        while (now := container.state()) and now.is_up and time.monotonic() < deadline:
            time.sleep(_POLL_S)
    if now is None or not now.has_left:
        client = Client(calls.parse(known.servers[0]), known.secret)
        with contextlib.suppress(OSError, AnsweredError):
            client.call("POST", "leave")
    _forget(container)


def _forget(container: Container) -> None:
    container.remove()
    shutil.rmtree(house.joined_folder(), ignore_errors=True)
