"""Each test once for every place, on this machine's own or the lab's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.backends.places import Docker, Local, Place
from tests.backends.shell import Shell


def _local(request: pytest.FixtureRequest) -> Place:
    return Local()


def _docker(request: pytest.FixtureRequest) -> Docker:
    return Docker(request.getfixturevalue("docker_host"), request.getfixturevalue("wheels"))


PLACES: dict[str, Callable[[pytest.FixtureRequest], Place]] = {"local": _local, "docker": _docker}


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
