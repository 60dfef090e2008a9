"""A folder with a job, and an engine to run it on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from evener.docker import Engine
from evener.events import StepCommitted
from evener.rundir.layout import RunDir
from evener.rundir.store import Store

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
