"""What the figures of the Docker benchmark are made from."""

from __future__ import annotations

import pytest

import docker
import lab
from harness import MeasureError


def test_a_step_is_compared_turn_by_turn_with_as_many_agents() -> None:
    taken = {"docker": [1.1, 5.5, 2.2], "local": [1.0, 5.0, 2.0], "one agent": [9.0, 9.0, 9.0]}
    case = docker.step_case(taken, {})
    assert case.figure == pytest.approx(1.1)
    assert not case.ok
    assert case.sides["one agent s"].median == 9.0


def test_a_start_is_what_containers_take_more() -> None:
    case = docker.start_case({"docker": [9.0, 12.0, 8.0], "local": [4.0, 5.0, 4.5]}, {})
    assert case.figure == 5.0
    assert case.ok


def test_no_engine_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nobody/docker.sock")
    monkeypatch.setattr(
        lab, "_lab", lambda _: ["sh", "-c", "echo 'needs root on Linux' >&2; exit 2"]
    )
    with pytest.raises(MeasureError, match="needs root on Linux"), lab.engine():
        pass
