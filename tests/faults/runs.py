"""Real runs from the command line, as a user starts them, for tests that then do them harm."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from safetensors.torch import load_file

from evener import audit, contract
from evener.events import Event
from evener.rundir.layout import RunDir
from evener.rundir.store import Store

REPOSITORY = Path(__file__).parents[2]
PATIENCE_S = 240.0  # on a machine that is busy with other things
MOST_EVENTS = 10**9
E = TypeVar("E")

JOB = """
[model]
name = "mlp"
hidden = [24, 24]

[data]
name = "tests.faults.deadly:build"
args = {{ pause_s = {pause_s} }}

[train]
global_batch = 24
steps = {steps}
lr = 0.01
precision = "fp64"
loss = "tests.faults.deadly:loss"

[balance]
park = false  # a step of milliseconds is all fixed cost: two ranks are no faster than one

[validation]
at_end = false

[checkpoint]
every_s = 3600

[log]
every_s = 0.1

[local]
workers = {workers}
agents = {agents}
threads = 1
device = "cpu"
"""


def write_job(
    folder: Path, *, workers: int = 3, agents: int = 1, steps: int = 60, pause_s: float = 0.0
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    job = folder / "harm.toml"
    job.write_text(JOB.format(workers=workers, agents=agents, steps=steps, pause_s=pause_s))
    return job


def environment(**more: str) -> dict[str, str]:
    """With our user code importable, and the evener that is tested where another is installed."""
    inherited = contract.inherited_environ()
    path = os.pathsep.join(filter(None, [str(REPOSITORY), inherited.get("PYTHONPATH")]))
    return inherited | {"PYTHONPATH": path, "NO_COLOR": "1"} | more


def evener(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """`evener WORDS` in `folder`, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "evener", *words],
        cwd=folder,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


@contextmanager
def started(folder: Path, *words: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    """`evener WORDS` in the background; whatever happens, its run is stopped at the end."""
    with subprocess.Popen(
        [sys.executable, "-m", "evener", *words],
        cwd=folder,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                evener(folder, "stop", "--now")
                process.kill()
            process.communicate(timeout=PATIENCE_S)


def run_of(folder: Path, name: str = "harm") -> RunDir:
    return RunDir(folder / "experiments" / name)


def events(run: RunDir, kind: type[E]) -> list[E]:
    return [event for _, event in _since(run, 0, kind)]


def _since(run: RunDir, seq: int, kind: type[E]) -> list[tuple[int, E]]:
    """Asked for by kind: whoever waits asks again and again, and steps are thousands."""
    if not run.db.exists():
        return []
    with Store.open(run.db, write=False) as store:
        found = store.since(seq, MOST_EVENTS, kinds=(kind.__name__,))
        return [(number, r.event) for number, r in found if isinstance(r.event, kind)]


def wait_for(run: RunDir, kind: type[E], **wanted: Any) -> E:
    """The first event with such numbers, or more, and such words; every wait ends."""
    deadline, last = time.monotonic() + PATIENCE_S, 0
    while time.monotonic() < deadline:
        for seq, event in _since(run, last, kind):
            last = seq
            if all(_reaches(getattr(event, k), v) for k, v in wanted.items()):
                return event
        time.sleep(0.05)
    raise AssertionError(f"no {kind.__name__} {wanted} within {PATIENCE_S} s")


def _reaches(value: Any, wanted: Any) -> bool:
    """A number that is as high, or a text that has the words."""
    return wanted in value if isinstance(wanted, str) else bool(value >= wanted)


def assert_kept(run: RunDir) -> None:
    """No promise broken, by what every rank wrote down."""
    findings = audit.audit(run)
    assert all(finding.kept for finding in findings), findings
    assert {"samples", "checkpoint"} < {finding.promise for finding in findings}


def pid_of(run: RunDir, rank: int) -> int:
    from evener.events import RankStarted

    return [e.pid for e in events(run, RankStarted) if e.rank == rank][-1]


def weights(run: RunDir) -> Mapping[str, Any]:
    return load_file(run.export_file)


def difference(a: RunDir, b: RunDir) -> float:
    one, two = weights(a), weights(b)
    assert set(one) == set(two)
    return max(float((one[k] - two[k]).abs().max()) for k in one)


def alive(pid: int) -> bool:
    return os.path.isdir(f"/proc/{pid}")  # noqa: PTH112


__all__ = ["Event", "evener", "events", "started", "wait_for", "write_job"]
