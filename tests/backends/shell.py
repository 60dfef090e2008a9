"""A person at a shell: a folder with jobs in it, the evener command, and a run's record."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from evener import contract
from evener.events import StepCommitted
from evener.rundir import checkpoints, layout
from evener.rundir.layout import RunDir
from evener.rundir.store import Store
from tests.backends.places import Place

PATIENCE_S = 240.0  # on a machine that is busy with other things
BUILD_S = 600.0  # the first command may have to build the image's libraries
MOST_EVENTS = 10**9
SOURCES = Path(__file__).parents[2] / "src"
E = TypeVar("E")

MODEL = """
[model]
name = "mlp"
hidden = [{hidden}]
"""
JOB = """
[data]
name = "synthetic_regression"
samples = 4096
validation_samples = 64
features = 16

[train]
global_batch = 48
steps = {steps}
lr = 0.01

[balance]
park = false  # a step of milliseconds is all fixed cost: two ranks are no faster than one

[membership]
standby = false
"""

LONG = 1_000_000
PACED = """
import time

from torch import nn


class Paced(nn.Sequential):
    def forward(self, x):
        time.sleep(0.02)
        return super().forward(x)


def build(shape):
    return Paced(nn.Linear(shape.input[0], 32), nn.ReLU(), nn.Linear(32, shape.outputs))
"""


class Shell:
    """`evener WORDS` in `folder`, on `place`; as another user where `user` is given."""

    def __init__(self, folder: Path, place: Place, user: int | None = None) -> None:
        self.folder, self.place, self._user = folder, place, user
        self.cache = folder / "cache"
        self._env = {
            **contract.inherited_environ(),
            "PYTHONPATH": str(SOURCES),
            "NO_COLOR": "1",
            "HOME": str(folder),
            contract.CACHE_VARIABLE: str(self.cache),
            **place.environ,
        }

    # ------------------------------------------------------------------------------ acting

    def write_job(
        self, name: str = "job", *, steps: int = 60, hidden: int = 32, model: str = MODEL,
        more: str = "", image: str = "",
    ) -> str:  # fmt: skip
        """`more` are tables of the job; `image` are keys of the place's own last table."""
        text = model.format(hidden=hidden) + JOB.format(steps=steps)
        (self.folder / f"{name}.toml").write_text(f"{text}{more}\n{self.place.job}{image}\n")
        return f"{name}.toml"

    def write_long_job(self, name: str = "job") -> str:
        """Of a run that goes on until it is stopped. It rests in every step: what else runs here,
        and what it has to start again itself, need not wait for a processor."""
        (self.folder / "paced.py").write_text(PACED)
        return self.write_job(name, steps=LONG, model='[model]\nname = "paced:build"\n')

    def evener(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._command(words), **self._options(), capture_output=True, timeout=BUILD_S,
            check=False,
        )  # fmt: skip

    def train(self, job: str, *words: str) -> subprocess.CompletedProcess[str]:
        return self.evener("run", job, "--on", self.place.name, *words)

    def detach(self, job: str, *words: str) -> RunDir:
        """Start a run that has the job's name, and come back."""
        done = self.train(job, "--detach", *words)
        assert done.returncode == 0, said(done)
        return self.run(job.removesuffix(".toml"))

    @contextmanager
    def attached(self, job: str, *words: str) -> Iterator[subprocess.Popen[str]]:
        """A run in the foreground."""
        with self.started("run", job, "--on", self.place.name, *words) as process:
            yield process

    @contextmanager
    def started(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """In a process group of its own, as a terminal makes one."""
        with subprocess.Popen(
            self._command(words), **self._options(), stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True,
        ) as process:  # fmt: skip
            try:
                yield process
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                process.communicate()

    def _command(self, words: tuple[str, ...]) -> list[str]:
        user = _as(self._user) if self._user else ()
        return [*self.place.inside, *user, sys.executable, "-m", "evener", *words]

    def _options(self) -> dict[str, Any]:
        return {"cwd": self.folder, "env": self._env, "stdin": subprocess.DEVNULL, "text": True}

    def stop_all(self) -> None:
        """Whatever a failed test left going."""
        for run in layout.runs(self.folder / contract.RUN_DIR_DEFAULT):
            if self.place.left(self.folder):
                self.evener("stop", run.name, "--now")

    # ----------------------------------------------------------------------------- looking

    def run(self, name: str = "job") -> RunDir:
        return RunDir(self.folder / contract.RUN_DIR_DEFAULT / name)

    def await_step(self, run: RunDir, step: int) -> None:
        until(lambda: last_step(run) >= step, f"{run.name} does not come to step {step}")

    def await_nothing_left(self) -> None:
        """Of processes that look after a run, too."""

        def left() -> list[str]:
            return [*self.place.left(self.folder), *self.place.helpers(self.folder)]

        until(lambda: not left(), lambda: str(left()))


def _as(user: int) -> list[str]:
    """What makes a command another user's, who may read on: our Python may be in root's home."""
    reads = "+dac_read_search"
    ids = [f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    return ["setpriv", *ids, f"--inh-caps={reads}", f"--ambient-caps={reads}"]


def until(
    holds: Callable[[], bool],
    otherwise: str | Callable[[], str],
    patience_s: float = PATIENCE_S,
) -> None:
    deadline = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(otherwise if isinstance(otherwise, str) else otherwise())
        time.sleep(0.1)


def events(run: RunDir, kind: type[E]) -> list[E]:
    """Asked for by kind: whoever waits asks again and again, and steps are thousands."""
    with Store.open(run.db, write=False) as store:
        found = store.since(0, MOST_EVENTS, kinds=(kind.__name__,))
        return [r.event for _, r in found if isinstance(r.event, kind)]


def last_step(run: RunDir) -> int:
    if not run.db.exists():
        return 0
    with Store.open(run.db, write=False) as store:
        return max(store.last_step("loss"), 0)


def check_steps(run: RunDir, last: int | None = None) -> int:
    """Each step is there, and happened once: who tells it again tells the same."""
    told = sorted({(e.step, e.cursor, e.samples, e.loss) for e in events(run, StepCommitted)})
    steps = [step for step, *_ in told]
    assert steps == list(range(1, (last or len(told)) + 1))
    seen = 0
    for _, cursor, samples, _ in told:
        seen += samples
        assert cursor == seen  # no sample was left out, none taken twice
    return len(told)


def check_files(run: RunDir, ranks: int) -> None:
    """What a run that has finished leaves: all of it the caller's, and its secret nobody else's."""
    assert all(run.rank_log(rank).is_file() for rank in range(ranks))
    assert run.agent_log("a00").read_text(encoding="utf-8")
    assert run.export_file.is_file()
    assert checkpoints.entries(run.checkpoints)
    assert {path.stat().st_uid for path in run.path.rglob("*")} == {os.getuid()}
    secrets = [path for path in (run.handle_file, run.secret_file) if path.exists()]
    assert [path.name for path in secrets if path.stat().st_mode & 0o077] == []


def said(done: subprocess.CompletedProcess[str]) -> str:
    return f"status {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
