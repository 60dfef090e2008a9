"""What is about Docker alone: an engine that is not there, or away for a moment.

What every place must hold is in tests/backends.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from evener import contract
from evener.docker import Engine
from evener.launch import docker
from evener.launch.containers import identity
from evener.launch.docker import DockerLauncher
from evener.rundir.layout import RunDir
from tests.backends.places import Docker
from tests.backends.shell import Shell
from tests.lab.engine import BASE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_no_engine_is_one_sentence(tmp_path: Path, wheels: Path) -> None:
    shell = Shell(tmp_path, Docker(f"unix://{tmp_path}/nobody.sock", wheels))
    done = shell.train(shell.write_job())
    assert done.returncode == 6
    assert "E511" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_engine_that_is_away_for_a_moment_says_nothing_about_a_run(
    tmp_path: Path, docker_host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker, "LOOK_S", 0.0)
    run, engine = RunDir(tmp_path), Engine(("docker", "-H", docker_host))
    door = tmp_path / "docker.sock"  # what stands between us and the engine can be taken away
    launcher = DockerLauncher(engine=Engine(("docker", "-H", f"unix://{door}")))
    assert not launcher.alive(run)  # it was never seen
    door.symlink_to(docker_host.removeprefix("unix://"))
    label = f"--label={contract.LABEL_RUN}={identity(run)}"
    engine.call("run", "--detach", label, BASE, "sleep", "600")
    assert launcher.alive(run)
    door.unlink()
    assert launcher.alive(run)
    monkeypatch.setattr(docker, "AWAY_S", 0.0)
    assert not launcher.alive(run)
    door.symlink_to(docker_host.removeprefix("unix://"))
    assert launcher.alive(run)
    launcher.clean(run)
    assert not launcher.alive(run)
