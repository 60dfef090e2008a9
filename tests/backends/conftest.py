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
def shell(place: Place, tmp_path: Path) -> Iterator[Shell]:
    yield from _shell(tmp_path, place)


@pytest.fixture
def docker(request: pytest.FixtureRequest) -> Docker:
    return _docker(request)


@pytest.fixture
def docker_shell(docker: Docker, tmp_path: Path) -> Iterator[Shell]:
    yield from _shell(tmp_path, docker)


def _shell(folder: Path, place: Place) -> Iterator[Shell]:
    shell = Shell(folder, place)
    yield shell
    shell.stop_all()
    shell.await_nothing_left()
