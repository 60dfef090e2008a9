"""A pool as people use it, on loopback: machines join, one dies, the server too, another comes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from evener import contract, errors
from evener.events import CheckpointHome, GenerationFormed, RunEnded
from evener.rundir import checkpoints
from evener.rundir.layout import RunDir
from tests.backends.shell import SOURCES, check_steps, events, last_step, said, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MODEL = """
import torch

def build(shape):
    return torch.nn.Embedding(shape.outputs, shape.outputs)
"""
JOB = """
[model]
name = "letters:build"
[data]
name = "text"
path = "words.txt"
[train]
global_batch = 24
steps = 1000000
lr = 0.01
[checkpoint]
every_steps = 200
[local]
threads = 1
[balance]
park = false
[membership]
standby = false
"""
Said = subprocess.CompletedProcess[str]


class Machines:
    """Some that are one: each with a state of its own, and what it fetches."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on(self, number: int, *words: str) -> Said:
        own = self.folder / f"machine {number}"
        env = {
            **contract.inherited_environ(),
            "PYTHONPATH": str(SOURCES),
            "NO_COLOR": "1",
            "XDG_STATE_HOME": str(own / "state"),
            contract.CACHE_VARIABLE: str(own / "cache"),
        }
        return subprocess.run(
            [sys.executable, "-m", "evener", *words],
            cwd=self.folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip

    def done(self, number: int, *words: str) -> str:
        found = self.on(number, *words)
        assert found.returncode == 0, said(found)
        return found.stdout

    def state(self, number: int, name: str) -> Path:
        found = (self.folder / f"machine {number}/state").rglob(name)
        return next(iter(found))

    def kill(self, number: int, name: str) -> None:
        os.kill(int(json.loads(self.state(number, name).read_text())["pid"]), signal.SIGKILL)

    def states(self) -> dict[str, str]:
        told = json.loads(self.done(0, "nodes", "--json"))
        return {member["id"]: member["state"] for member in told}


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    (tmp_path / "letters.py").write_text(MODEL)
    (tmp_path / "words.txt").write_text("to be or not to be, that is the question\n" * 200)
    found = Machines(tmp_path)
    yield found
    if (tmp_path / "machine 0/state/evener/pool").exists():
        found.on(0, "down", "--now")


def _code(text: str) -> str:
    found = re.search(r"evener join (\S+)", text)
    assert found is not None
    return found[1]


def test_a_pool_from_up_to_down(machines: Machines) -> None:
    (machines.folder / "job.toml").write_text(JOB)
    code = _code(machines.done(0, "up", "--address", contract.LOOPBACK))
    machines.done(1, "join", code)
    waits = machines.state(1, "joined.json").read_text()
    machines.done(1, "join")  # it is in already: by the same process
    assert machines.state(1, "joined.json").read_text() == waits
    assert [*machines.states().values()] == ["waiting"] * 2

    run = RunDir(machines.folder / contract.RUN_DIR_DEFAULT / "job")
    told = machines.on(0, "run", "job.toml", "--on", "pool", "--detach")
    assert told.returncode == 0, said(told)
    assert "letters.py (1 file" in told.stderr
    assert "words.txt (1 file" in told.stderr
    until(lambda: last_step(run) >= 50, "it does not come to step 50")
    assert machines.on(0, "down").returncode == errors.RunActive.exit_status

    machines.kill(1, "joined.json")
    machines.done(2, "join", code)
    until(lambda: _trained(run, 0, 2), "the newcomer does not train")
    machines.kill(0, "pool.json")
    machines.done(0, "up")  # into the same pool
    machines.done(1, "join")  # it is back, without a code
    until(lambda: _trained(run, 0, 1, 2), "who is back does not train")
    machines.done(0, "stop")
    stopped = last_step(run)
    assert checkpoints.entries(run.checkpoints)[-1].step == stopped

    machines.done(0, "resume", "job", "-o", f"train.steps={stopped + 40}")
    assert [end.outcome for end in events(run, RunEnded)] == ["stopped", "finished"]
    assert check_steps(run) == stopped + 40
    assert events(run, CheckpointHome)
    assert run.export_file.is_file()
    until(lambda: {*machines.states().values()} == {"waiting"}, "machines do not wait again")

    machines.done(2, "leave")
    assert len(machines.states()) == 2
    machines.done(0, "down")
    left = [f for f in machines.folder.glob("machine */state/**/*") if f.is_file()]
    assert left == []
    assert machines.on(1, "join").returncode == errors.NoPool.exit_status


def _trained(run: RunDir, *ranks: int) -> bool:
    return any(generation.ranks == ranks for generation in events(run, GenerationFormed))
