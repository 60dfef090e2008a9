"""What a launcher makes of an engine's answers; whole runs are in tests/lab."""

from __future__ import annotations

from pathlib import Path

import pytest

from evener.docker import Engine
from evener.launch import docker
from evener.launch.docker import DockerLauncher
from evener.rundir.layout import RunDir

RUNNING = '{"ID": "1", "Names": "evener-x-machine-0", "State": "running", "Status": "Up"}'
ENDED = '{"ID": "1", "Names": "evener-x-machine-0", "State": "exited", "Status": "Exited (0)"}'


class Told:
    """A docker command that answers what the test has written down, or is away."""

    def __init__(self, folder: Path) -> None:
        self._answer = folder / "answer"
        script = (
            f"cat {self._answer} || {{ echo 'Cannot connect to the Docker daemon' >&2; exit 1; }}"
        )
        self.engine = Engine(("sh", "-c", script))

    def says(self, answer: str | None) -> None:
        self._answer.unlink(missing_ok=True)
        if answer is not None:
            self._answer.write_text(answer)


def test_a_run_is_alive_while_a_container_of_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker, "LOOK_S", 0.0)
    told = Told(tmp_path)
    launcher = DockerLauncher(engine=told.engine)
    for answer, alive in ((RUNNING, True), (ENDED, False), ("", False)):
        told.says(answer)
        assert launcher.alive(RunDir(tmp_path)) == alive


def test_an_engine_that_is_away_for_a_moment_says_nothing_about_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker, "LOOK_S", 0.0)
    told = Told(tmp_path)
    launcher = DockerLauncher(engine=told.engine)
    assert not launcher.alive(RunDir(tmp_path))  # it was never seen
    told.says(RUNNING)
    assert launcher.alive(RunDir(tmp_path))
    told.says(None)
    assert launcher.alive(RunDir(tmp_path))
    monkeypatch.setattr(docker, "AWAY_S", 0.0)
    assert not launcher.alive(RunDir(tmp_path))
