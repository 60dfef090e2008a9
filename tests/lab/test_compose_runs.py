"""A job exported for Docker Compose, run as people run it who have Docker and nothing else."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from evener.docker import Engine
from evener.events import RunEnded, RunStarted, StepCommitted
from evener.rundir.layout import RunDir
from tests.backends.shell import LONG, PACED, events, last_step
from tests.lab import compose
from tests.lab.engine import NoLab

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

JOB = """
[model]
{model}

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
BUILT_IN, OWN = 'name = "mlp"\nhidden = [32]', 'name = "paced:build"'
SOMEBODY = 1234  # not who runs the tests
UP_S, SOON_S = 600.0, 180.0


class Exported:
    """A folder that was exported, and `docker compose` in it."""

    def __init__(
        self, folder: Path, host: str, plugin: Path, wheels: Path, steps: int, model: str = BUILT_IN
    ) -> None:
        self.folder, self.engine = folder / "out", Engine(("docker", "-H", host))
        self.run = RunDir(self.folder / "experiments" / "job")
        self.env = {
            **os.environ,
            "DOCKER_HOST": host,
            "DOCKER_CONFIG": str(plugin),
            "DOCKER_BUILDKIT": "0",
            "EVENER_CACHE": str(folder / "cache"),
        }
        (folder / "paced.py").write_text(PACED)
        job = JOB.format(model=model, steps=steps, wheels=wheels)
        (folder / "job.toml").write_text(job, encoding="utf-8")
        done = self._call(folder, sys.executable, "-m", "evener", "export", "compose", "job.toml",
                          "-o", "out", "--workers", "2")  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "docker compose up" in done.stdout

    def compose(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        self.env |= env
        return self._call(self.folder, "docker", "compose", *words)

    def evener(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._call(self.folder, sys.executable, "-m", "evener", *words)

    def up(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["docker", "compose", "up"], cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def _call(self, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=folder, env=self.env, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=UP_S, check=False,
        )  # fmt: skip

    def steps(self) -> list[int]:
        return [e.step for e in events(self.run, StepCommitted)]

    def await_step(self, step: int) -> None:
        deadline = time.monotonic() + SOON_S
        while last_step(self.run) < step:
            assert time.monotonic() < deadline, "the run does not come forward"
            time.sleep(0.2)

    def await_quiet(self) -> None:
        deadline = time.monotonic() + SOON_S
        while [c for c in self.engine.ask("ps") if c["Names"].startswith("evener-job-")]:
            assert time.monotonic() < deadline, "containers of a finished run live on"
            time.sleep(0.5)

    def left(self) -> list[str]:
        """Containers and networks on the engine that are of this kind."""
        found = self.engine.ask("ps", "--all") + self.engine.ask("network", "ls")
        names = [each.get("Names") or each["Name"] for each in found]
        return [name for name in names if name.startswith("evener-job-")]


@pytest.fixture
def place(tmp_path: Path, docker_host: str, wheels: Path) -> Iterator[tuple[Path, str, Path, Path]]:
    try:
        plugin = compose.config_folder()
    except NoLab as reason:
        pytest.skip(str(reason))
    yield tmp_path, docker_host, plugin, wheels
    if (tmp_path / "out").exists():
        subprocess.run(
            ["docker", "--config", str(plugin), "-H", docker_host, "compose", "down", "-t", "1"],
            cwd=tmp_path / "out", capture_output=True, check=False, timeout=UP_S,
        )  # fmt: skip


def test_up_trains_to_the_end_for_whoever_owns_the_folder_and_down_leaves_nothing(
    place: tuple[Path, str, Path, Path],
) -> None:
    out = Exported(*place, steps=STEPS)
    for path in (out.folder, *out.folder.rglob("*")):
        os.chown(path, SOMEBODY, SOMEBODY)

    refused = out.compose("up", EVENER_UID="4321", EVENER_GID="4321")
    assert refused.returncode != 0
    assert "EVENER_UID=$(id -u)" in refused.stderr

    done = out.compose("up", EVENER_UID=str(SOMEBODY), EVENER_GID=str(SOMEBODY))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert f"step {STEPS}/{STEPS}" in done.stdout
    assert "the model is experiments/job/model.safetensors" in done.stdout
    assert set(out.steps()) == set(range(1, STEPS + 1))
    assert out.run.export_file.is_file()
    assert {p.stat().st_uid for p in (out.run.path, *out.run.path.rglob("*"))} == {SOMEBODY}

    again = out.compose("up")
    assert again.returncode == 0, again.stderr
    assert f"job has finished, at step {STEPS}" in again.stdout
    out.await_quiet()  # the others were started too, and find nothing to do
    assert len(events(out.run, RunStarted)) == len(events(out.run, RunEnded)) == 1
    assert "the run is over" in out.compose("logs", "machine-0").stdout

    down = out.compose("down")
    assert down.returncode == 0, down.stderr
    assert out.left() == []


def test_ctrl_c_and_up_again_lose_no_step(place: tuple[Path, str, Path, Path]) -> None:
    out = Exported(*place, steps=LONG, model=OWN)
    with out.up() as first:
        out.await_step(20)
        assert "training" in out.evener("ps").stdout  # who has evener may look on
        first.send_signal(signal.SIGINT)
        said, _ = first.communicate(timeout=UP_S)
    assert first.returncode == 130, said
    stopped = max(out.steps())

    refused = out.evener("resume", "job")
    assert refused.returncode == 2
    assert "docker compose up" in refused.stderr

    assert out.compose("up", "--detach").returncode == 0
    out.await_step(stopped + 20)
    assert out.evener("stop", "job").returncode == 0
    assert [e.outcome for e in events(out.run, RunEnded)] == ["stopped"] * 2
    assert [e.resumed for e in events(out.run, RunStarted)] == [False, True]
    steps = out.steps()
    assert set(steps) == set(range(1, max(steps) + 1))
    assert f"goes on: it was at step {stopped}" in out.compose("logs", "start").stdout
    assert out.compose("down").returncode == 0
    assert out.left() == []


def test_data_is_where_the_variable_says(place: tuple[Path, str, Path, Path]) -> None:
    out = Exported(*place, steps=STEPS)
    golden = Path(__file__).parents[1] / "launch" / "compose.yaml"
    shutil.copy(golden, out.folder / "compose.yaml")
    shown = out.compose("config", "--format", "json", EVENER_DATA="/elsewhere/text.txt")
    assert shown.returncode == 0, shown.stderr
    assert '"source": "/elsewhere/text.txt"' in shown.stdout
