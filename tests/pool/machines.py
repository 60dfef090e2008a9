"""Machines of a pool that are one: each with a state of its own, and what it fetches."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from evener import contract
from evener.events import GenerationFormed
from evener.rundir.layout import RunDir
from tests import leaks
from tests.backends.shell import SOURCES, events, said

MODEL = """
import time
import torch

class Paced(torch.nn.Embedding):
    def forward(self, x):
        time.sleep(0.02)
        return super().forward(x)

def build(shape):
    return Paced(shape.outputs, shape.outputs)
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
_OF_VERSION = """
import sys
from evener import versions
versions.EVENER = sys.argv.pop(1)
from evener.cli.main import main
sys.exit(main())
"""
Said = subprocess.CompletedProcess[str]
Inside = tuple[str, ...]


class Machines:
    """In `folder`, with what the job reads; commands run after `inside`, with `environ`: the same
    for all machines, or each its own. Those that are `kept` for many tests are not among what a
    test leaves behind."""

    def __init__(
        self, folder: Path, inside: Inside | Mapping[int, Inside] = (),
        environ: Mapping[str, str] | None = None, *, kept: bool = False,
    ) -> None:  # fmt: skip
        self.folder, self._environ, self._kept = folder, environ or {}, kept
        self._inside = inside
        (folder / "letters.py").write_text(MODEL)
        (folder / "words.txt").write_text("to be or not to be, that is the question\n" * 200)

    def of(self, number: int) -> dict[str, str]:
        """What makes a command that machine's."""
        own = self.folder / f"machine {number}"
        return {"XDG_STATE_HOME": f"{own}/state", contract.CACHE_VARIABLE: f"{own}/cache"}

    def on(self, number: int, *words: str, evener: str = "") -> Said:
        """By this evener, or by one that calls itself so."""
        env = {
            **contract.inherited_environ(),
            "PYTHONPATH": str(SOURCES),
            "NO_COLOR": "1",
            **self.of(number),
            **self._environ,
        }
        if self._kept:
            env.pop(leaks.MARKER, None)
        program = ("-c", _OF_VERSION, evener) if evener else ("-m", "evener")
        return subprocess.run(
            [*self._before(number), sys.executable, *program, *words],
            cwd=self.folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip

    def _before(self, number: int) -> Inside:
        inside = self._inside
        return inside.get(number, ()) if isinstance(inside, Mapping) else inside

    def done(self, number: int, *words: str, evener: str = "") -> str:
        found = self.on(number, *words, evener=evener)
        assert found.returncode == 0, said(found)
        return found.stdout

    def state(self, number: int, name: str) -> Path:
        found = (self.folder / f"machine {number}/state").rglob(name)
        return next(iter(found))

    @contextlib.contextmanager
    def asleep(self, number: int) -> Iterator[None]:
        """All that runs there stands still, and then goes on."""
        pids = self._pids(number)
        assert len(pids) > 2  # a joiner, an agent, ranks
        try:
            _signal(pids, signal.SIGSTOP)
            yield
        finally:
            _signal(pids, signal.SIGCONT)

    def kill(self, number: int, name: str) -> None:
        os.kill(int(json.loads(self.state(number, name).read_text())["pid"]), signal.SIGKILL)

    def power_off(self, number: int) -> None:
        """All that runs on it, or was started from it, ends in one moment."""
        _signal(self._pids(number), signal.SIGKILL)

    def _pids(self, number: int) -> list[int]:
        found = list[int]()
        for told in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if f"={self.folder}/machine {number}/".encode() in told.read_bytes():
                    found.append(int(told.parent.name))
        return found

    def states(self, what: str = "state") -> dict[str, str]:
        told = json.loads(self.done(0, "nodes", "--json"))
        return {member["id"]: member[what] for member in told}

    def end(self) -> None:
        """Whatever a failed test left."""
        if (self.folder / "machine 0/state/evener/pool").exists():
            self.on(0, "down", "--now")


def _signal(pids: Sequence[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def code(text: str) -> str:
    """Of what `evener up` has printed."""
    found = re.search(r"evener join (\S+)", text)
    assert found is not None
    return found[1]


def last_ranks(run: RunDir) -> tuple[int, ...]:
    """Those that train."""
    return events(run, GenerationFormed)[-1].ranks


def trained(run: RunDir, *ranks: int) -> bool:
    """Whether these have, together."""
    return any(generation.ranks == ranks for generation in events(run, GenerationFormed))
