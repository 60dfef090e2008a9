"""The engine that all tests of a session share, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import engine


@pytest.fixture(scope="session")
def daemon() -> Iterator[engine.Daemon]:
    try:
        with engine.daemon() as running:
            yield running
    except engine.NoLab as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def docker_host(daemon: engine.Daemon) -> str:
    return daemon.host


@pytest.fixture(scope="session")
def wheels() -> Path:
    try:
        return engine.wheels()
    except engine.NoLab as reason:
        pytest.skip(str(reason))
