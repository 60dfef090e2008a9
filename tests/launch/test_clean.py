"""What cannot be removed of a run keeps nothing else of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from evener import errors
from evener.docker import Engine
from evener.launch import docker
from evener.launch.swarm import SwarmLauncher
from evener.rundir.layout import RunDir


@dataclass(frozen=True, slots=True)
class _Engine(Engine):
    """On another machine somebody holds the network."""

    there: set[str] = field(default_factory=lambda: {"network", "secret", "config"})

    def call(self, *arguments: str, timeout_s: float = 0.0) -> str:
        if arguments[0] == "network":
            raise errors.DockerFailed("it is in use", where="docker network rm", fix="wait")
        self.there.discard(arguments[0])
        return ""

    def ask(self, *arguments: str, short: bool = False) -> list[dict[str, Any]]:
        return [{"ID": "1", "Replicas": "0/0"}] if arguments[0] in self.there else []


def test_a_network_that_is_held_elsewhere_keeps_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker, "CLEAN_S", 0.0)
    engine = _Engine()
    with pytest.raises(errors.DockerFailed, match="it is in use"):
        SwarmLauncher(engine=engine).clean(RunDir(tmp_path))
    assert engine.there == {"network"}
