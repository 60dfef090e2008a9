"""A disk that is full while a run goes: an error to read, and what was saved before stays whole."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from evener import checkpoint, contract
from evener.events import RunEnded
from tests.backends.places import BUILDS
from tests.backends.shell import Shell, events, said

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SIZE = "2m"
# A model that takes all the space there is, once there is a checkpoint.
GREEDY = """
from pathlib import Path

from torch import nn


class Greedy(nn.Module):
    def __init__(self, features, outputs, folder):
        super().__init__()
        self.layer = nn.Linear(features, outputs)
        self.folder = Path(folder)

    def forward(self, x):
        filler = self.folder / "filler"
        sated = filler.exists() or (self.folder / "sated").exists()
        if not sated and list(self.folder.glob("checkpoints/step-*/COMMIT")):
            with filler.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(1024))
                except OSError:
                    pass
        return self.layer(x)


def build(shape, folder):
    return Greedy(shape.input[0], shape.outputs, folder)
"""


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    """The experiments' folder, on a disk of its own."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("a small disk of our own needs root on Linux")
    disk = folder / contract.RUN_DIR_DEFAULT
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(disk)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.mark.parametrize("place", BUILDS, indirect=True)
def test_a_full_disk_ends_the_run_in_words_and_damages_nothing(
    small_disk: Path, shell: Shell
) -> None:
    (shell.folder / "mine.py").write_text(GREEDY)
    run = shell.run()
    model = f'[model]\nname = "mine:build"\nargs = {{{{ folder = "{run.path}" }}}}\n'
    job = shell.write_job(steps=120, model=model, more="[checkpoint]\nevery_steps = 40\n")
    done = shell.train(job)
    assert (done.returncode, "E501" in done.stderr) == (6, True), said(done)
    assert "no space" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert shell.place.left(shell.folder) == []
    assert {e.outcome for e in events(run, RunEnded)} == {"failed"}
    assert [
        log.read_text() for log in run.logs.glob("*.log") if "Traceback" in log.read_text()
    ] == []
    saved, damaged = checkpoint.newest(run.checkpoints)
    assert saved is not None
    assert damaged == []
    (run.path / "filler").unlink()
    (run.path / "sated").touch()
    resumed = shell.evener("resume", "job")
    assert resumed.returncode == 0, said(resumed)
    assert saved.step >= 40


def test_a_disk_that_is_full_from_the_start_is_one_sentence(small_disk: Path, shell: Shell) -> None:
    job = shell.write_job(steps=20)
    with (small_disk / "filler").open("wb", buffering=0) as file:
        while _grows(file.fileno()):
            pass
    done = shell.train(job)
    assert (done.returncode, "E501" in done.stderr) == (6, True), said(done)
    assert "Traceback" not in done.stdout + done.stderr
    assert shell.place.left(shell.folder) == []


def _grows(file: int) -> bool:
    try:
        return os.write(file, bytes(4096)) > 0
    except OSError:
        return False
