"""One run of evener as a person starts it, and what its record says afterwards."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self, TypeVar

import harness
from evener import api
from evener.events import Record, RunEnded, StepCommitted
from evener.rundir.layout import RunDir
from evener.rundir.store import Store

E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Trial:
    """A finished run. `started` is the wall clock just before its command was called."""

    run: RunDir
    started: float
    records: tuple[Record, ...]

    def events(self, kind: type[E]) -> list[E]:
        return [r.event for r in self.records if isinstance(r.event, kind)]

    @property
    def commits(self) -> list[tuple[float, StepCommitted]]:
        """Every step once, in order, with the time of its commit."""
        found: dict[int, tuple[float, StepCommitted]] = {}
        for record in self.records:
            if isinstance(record.event, StepCommitted):
                found.setdefault(record.event.step, (record.time, record.event))
        return [found[step] for step in sorted(found)]

    @property
    def step_s(self) -> list[float]:
        """From the end of each step to the end of the next: what the baselines measure too."""
        return [b - a for (a, _), (b, _) in itertools.pairwise(self.commits)]

    @property
    def first_step_s(self) -> float:
        return self.commits[0][0] - self.started


class Trials:
    """A temporary folder with job files, in which runs are made. Use it in a `with`."""

    def __init__(self, inside: Sequence[str] = ()) -> None:
        """`inside` are words before a command, where it is to run in a network of its own."""
        self._inside = tuple(inside)
        self._temporary = TemporaryDirectory(prefix="evener-bench-", ignore_cleanup_errors=True)
        self.folder = Path(self._temporary.name)
        self._runs: list[RunDir] = []
        self._numbers = itertools.count()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A run lives on without the command that started it; after a failure it must not.
        for run in self._runs:
            api.stop_run(run, now=True)
        self._temporary.cleanup()

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def train(
        self,
        job: Path | str,
        overrides: Sequence[str] = (),
        *,
        on: str = "local",
        meanwhile: Callable[[RunDir], None] | None = None,
        until: str = "finished",
        limit_s: float = 900,
    ) -> Trial:
        """`evener run JOB -o ...`, to its end. An end other than `until` is a failed measurement.

        `meanwhile` is called beside it, on a thread, and may do something to the run.
        """
        run = self._next()
        words = ["run", str(job), "--name", run.name, "--on", on]
        with ThreadPoolExecutor(1) as pool:
            beside = pool.submit(meanwhile, run) if meanwhile else None
            trial = self._run(run, words, overrides, until, limit_s)
            if beside:
                beside.result()
        return trial

    def start(self, job: Path | str, overrides: Sequence[str] = (), *, on: str = "local") -> RunDir:
        """`evener run JOB -o ... --detach`: a run that goes on until `end`."""
        run = self._next()
        words = ["run", str(job), "--name", run.name, "--on", on, "--detach"]
        harness.run(self._command(words, overrides), cwd=self.folder)
        return run

    def stop(self, run: RunDir) -> None:
        """`evener stop`: at a boundary, with a checkpoint."""
        harness.run(self._command(["stop", run.name], ()), cwd=self.folder)

    def end(self, run: RunDir) -> None:
        """`evener stop --now`."""
        harness.run(self._command(["stop", run.name, "--now"], ()), cwd=self.folder)

    def resume(self, stopped: Trial, overrides: Sequence[str] = (), limit_s: float = 900) -> Trial:
        """`evener resume NAME`, to its end."""
        words = ["resume", stopped.run.name]
        return self._run(stopped.run, words, overrides, "finished", limit_s)

    def _next(self) -> RunDir:
        run = RunDir(self.folder / "experiments" / f"trial-{next(self._numbers)}")
        self._runs.append(run)
        return run

    def _run(
        self,
        run: RunDir,
        words: Sequence[str],
        overrides: Sequence[str],
        until: str,
        limit_s: float,
    ) -> Trial:
        started = time.time()
        accepted = (0, 130) if until == "stopped" else (0,)
        command = self._command(words, overrides)
        said = harness.run(command, cwd=self.folder, limit_s=limit_s, accepted=accepted)
        trial = look(run, started)
        ends = trial.events(RunEnded)
        if not ends or ends[-1].outcome != until or not trial.commits:
            raise harness.MeasureError(f"the run did not end so: {ends[-1:]}\n{said[-2000:]}")
        return trial

    def _command(self, words: Sequence[str], overrides: Sequence[str]) -> list[str | Path]:
        command: list[str | Path] = [*self._inside, sys.executable, "-m", "evener", *words]
        for override in overrides:
            command += ["-o", override]
        return command


def look(run: RunDir, started: float = 0.0) -> Trial:
    """What the record has so far."""
    with Store.open(run.db, write=False) as store:
        return Trial(run, started, tuple(store.records()))


def weights(trial: Trial) -> dict[str, Any]:
    """The exported model's tensors."""
    from safetensors.torch import load_file

    return load_file(trial.run.export_file)
