"""Whole runs in containers of a real engine, started as a person starts them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from evener import contract
from evener.docker import Engine
from evener.events import RankLost, RunEnded, StepCommitted
from evener.launch import docker
from evener.launch.containers import identity
from evener.launch.docker import DockerLauncher
from evener.rundir.layout import RunDir
from evener.rundir.store import Store
from tests.lab.engine import BASE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

JOB = """
[model]
name = "mlp"
hidden = [32]

[data]
name = "synthetic_regression"
samples = 4096
validation_samples = 64
features = 16

[train]
global_batch = 48
steps = {steps}
lr = 0.01

[image]
wheels = "{wheels}"
"""
STEPS = 60
LONG = 100_000


class Place:
    """A folder with a job, and an engine to run it on."""

    def __init__(self, folder: Path, host: str, wheels: Path) -> None:
        self.folder, self.engine = folder, Engine(("docker", "-H", host))
        self.env = {**os.environ, "DOCKER_HOST": host, "EVENER_CACHE": str(folder / "cache")}
        for name, steps in (("job", STEPS), ("long", LONG)):
            text = JOB.format(steps=steps, wheels=wheels)
            (folder / f"{name}.toml").write_text(text, encoding="utf-8")

    def evener(self, *words: str, limit_s: float = 600) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "evener", *words]
        return subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True,
            timeout=limit_s, check=False,
        )  # fmt: skip

    def run(self, name: str) -> RunDir:
        return RunDir(self.folder / "experiments" / name)

    def records(self, name: str, kind: type) -> list[object]:
        with Store.open(self.run(name).db, write=False) as store:
            return [r.event for r in store.records() if isinstance(r.event, kind)]

    def await_step(self, name: str, step: int) -> None:
        deadline = time.monotonic() + 120
        while not any(e.step >= step for e in self.records(name, StepCommitted)):  # type: ignore[attr-defined]
            assert time.monotonic() < deadline, "the run does not come forward"
            time.sleep(0.2)

    def left(self) -> list[str]:
        """Containers and networks of ours on the engine."""
        found = self.engine.ask("ps", "--all") + self.engine.ask("network", "ls")
        names = [each.get("Names") or each["Name"] for each in found]
        return [name for name in names if name.startswith("evener-")]

    def containers(self) -> list[dict[str, str]]:
        return self.engine.ask("ps", "--all")

    def pid_of(self, machine: str) -> int:
        found = self.engine.ask("ps", "--filter", f"name={machine}")
        return int(self.engine.call("inspect", "--format={{.State.Pid}}", found[0]["ID"]))


@pytest.fixture
def place(tmp_path: Path, docker_host: str, wheels: Path) -> Iterator[Place]:
    place = Place(tmp_path, docker_host, wheels)
    yield place
    for name in ("job", "long"):
        if place.run(name).job_file.exists():
            place.evener("stop", name, "--now")


def test_two_containers_train_and_leave_the_model_and_nothing_else(place: Place) -> None:
    done = place.evener("run", "job.toml", "--on", "docker", "--workers", "2", "--json")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert place.left() == []
    run = place.run("job")
    assert run.export_file.is_file()
    assert run.export_file.stat().st_uid == os.getuid()
    assert {e.step for e in place.records("job", StepCommitted)} == set(range(1, STEPS + 1))  # type: ignore[attr-defined]
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert any(t.get("kind") == "RankStarted" and t["agent"] == "a01" for t in told)
    assert (run.logs / "rank_1.log").is_file()


def test_a_container_that_dies_comes_back_and_no_step_is_lost(place: Place) -> None:
    started = place.evener("run", "long.toml", "--on", "docker", "--workers", "2", "--detach")
    assert started.returncode == 0, started.stderr[-3000:]
    place.await_step("long", 20)
    os.kill(place.pid_of("machine-1"), signal.SIGKILL)
    deadline = time.monotonic() + 120
    while not (lost := place.records("long", RankLost)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    here = max(e.step for e in place.records("long", StepCommitted))  # type: ignore[attr-defined]
    place.await_step("long", here + 20)
    assert lost
    stopped = place.evener("stop", "long")
    assert stopped.returncode == 0, stopped.stderr
    assert place.left() == []
    steps = [e.step for e in place.records("long", StepCommitted)]  # type: ignore[attr-defined]
    assert set(steps) == set(range(1, max(steps) + 1))
    assert [e.outcome for e in place.records("long", RunEnded)] == ["stopped"]  # type: ignore[attr-defined]


def test_no_engine_is_one_sentence(tmp_path: Path, wheels: Path) -> None:
    place = Place(tmp_path, f"unix://{tmp_path}/nobody.sock", wheels)
    done = place.evener("run", "job.toml", "--on", "docker")
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
