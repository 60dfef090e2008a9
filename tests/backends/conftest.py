"""Each test once for every place, on this machine's own or the lab's.

The Swarm is made once for all: an engine and two more beside it, with the image of the runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evener.contract import LOOPBACK
from tests.backends.places import Docker, Local, Place, Pool, Swarm
from tests.backends.shell import Shell, said
from tests.lab import swarm as lab
from tests.lab.engine import Daemon, NoLab
from tests.pool.machines import Machines, code


def _local(request: pytest.FixtureRequest) -> Place:
    return Local()


def _docker(request: pytest.FixtureRequest) -> Docker:
    return Docker(request.getfixturevalue("docker_host"), request.getfixturevalue("wheels"))


def _swarm(request: pytest.FixtureRequest) -> Swarm:
    wheels = request.getfixturevalue("wheels")
    return Swarm(request.getfixturevalue("machines"), wheels, workers=2)


def _pool(request: pytest.FixtureRequest) -> Pool:
    there: Machines = request.getfixturevalue("pool")
    return Pool(there.folder, there.of(0))


PLACES: dict[str, Callable[[pytest.FixtureRequest], Place]] = {
    "local": _local, "pool": _pool, "docker": _docker, "swarm": _swarm
}  # fmt: skip


@pytest.fixture(scope="session")
def machines(
    daemon: Daemon, wheels: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[lab.Swarm]:
    """The images are built before the other engines take a copy of what there is."""
    shell = Shell(tmp_path_factory.mktemp("image"), Docker(daemon.host, wheels))
    for job in (shell.write_job(), shell.write_long_job("long")):
        built = shell.evener("image", "build", job)
        assert built.returncode == 0, said(built)
    try:
        lab.need_overlay()
    except NoLab as reason:
        pytest.skip(str(reason))
    with lab.swarm(daemon, others=2) as made:  # where it can be, it has to be
        yield made


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """Two machines that wait, run after run."""
    made = Machines(tmp_path_factory.mktemp("pool"), kept=True)
    made.done(1, "join", code(made.done(0, "up", "--address", LOOPBACK)))
    yield made
    made.end()


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Place:
    return PLACES[request.param](request)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a name as people give them."""
    folder = tmp_path / "my jobs, new"
    folder.mkdir()
    return folder


@pytest.fixture
def shell(place: Place, folder: Path) -> Iterator[Shell]:
    yield from _shell(folder, place)


@pytest.fixture
def docker(request: pytest.FixtureRequest) -> Docker:
    return _docker(request)


@pytest.fixture
def docker_shell(docker: Docker, folder: Path) -> Iterator[Shell]:
    yield from _shell(folder, docker)


def _shell(folder: Path, place: Place) -> Iterator[Shell]:
    shell = Shell(folder, place)
    yield shell
    shell.stop_all()
    shell.await_nothing_left()
