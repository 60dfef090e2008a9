"""A Docker engine for benchmarks: the one that `docker info` answers for, else that of the tests.

The latter needs root on Linux; the first time it is used its image is built, two minutes more.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence

import harness
from evener.config.schema import Image
from evener.image import recipe
from harness import MeasureError
from trial import Trials

LOOK_S, BUILD_S, END_S = 5.0, 1800.0, 90.0


def image_table() -> str:
    """[image] of a job: a folder of wheels where torch's own index is not reached."""
    table = f'\n[image]\nbase = "{Image().start}"\ncuda = "cpu"\n'
    with contextlib.suppress(OSError), urllib.request.urlopen(recipe.TORCH_INDEX, timeout=LOOK_S):
        return table
    folder = harness.run([*_lab("wheels")], cwd=harness.ROOT, limit_s=BUILD_S).strip()
    return f"{table}wheels = '{folder}'\n"


def build(trials: Trials, job: str) -> str:
    """The tag of the job's image, which is there when this returns."""
    command = [sys.executable, "-m", "evener", "image", "build", job]
    return harness.run(command, cwd=trials.folder, limit_s=BUILD_S).split()[-1]


@contextlib.contextmanager
def engine() -> Iterator[None]:
    """An engine for every docker command in here, and for those of evener."""
    if _answers():
        yield
        return
    with subprocess.Popen(
        _lab("engine"),
        cwd=harness.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a Ctrl-C is for us: it ends with its input, in order
    ) as own:
        assert own.stdin is not None
        assert own.stdout is not None
        assert own.stderr is not None
        host = own.stdout.readline().strip()
        if not host:
            raise MeasureError(f"there is no Docker engine: {own.stderr.read().strip()}")
        os.environ["DOCKER_HOST"] = host
        try:
            yield
        finally:
            del os.environ["DOCKER_HOST"]
            own.stdin.close()
            try:
                own.wait(END_S)
            except subprocess.TimeoutExpired:
                own.kill()


def _answers() -> bool:
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, timeout=LOOK_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _lab(wanted: str) -> Sequence[str]:
    return [sys.executable, "-m", "tests.lab", wanted]


def about_engine(trials: Trials) -> str:
    return docker(trials, "info", "--format={{.ServerVersion}}, {{.Driver}}").strip()


def docker(trials: Trials, *arguments: str) -> str:
    return harness.run(["docker", *arguments], cwd=trials.folder)
