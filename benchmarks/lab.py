"""A Docker engine for benchmarks: the one that `docker info` answers for, else that of the tests.

The latter needs root on Linux; the first time it is used its image is built, two minutes more.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

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
    with _held("engine") as (host, _):
        os.environ["DOCKER_HOST"] = host
        try:
            yield
        finally:
            del os.environ["DOCKER_HOST"]


@contextlib.contextmanager
def _held(wanted: str) -> Iterator[tuple[str, Callable[[str], str]]]:
    """What the lab says of it once it is there, and how to tell it more. It is held as long as this
    block."""
    with subprocess.Popen(
        _lab(wanted),
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
        stdin, stdout, stderr = own.stdin, own.stdout, own.stderr

        def tell(line: str) -> str:
            stdin.write(line + "\n")
            stdin.flush()
            answer = stdout.readline()
            if not answer:
                raise MeasureError(f"the lab could not {line}: {stderr.read().strip()}")
            return answer

        said = own.stdout.readline().strip()
        if not said:
            raise MeasureError(f"there is no {wanted}: {own.stderr.read().strip()}")
        try:
            yield said, tell
        finally:
            own.stdin.close()
            try:
                own.wait(END_S)
            except subprocess.TimeoutExpired:
                own.kill()


@dataclass(frozen=True, slots=True)
class Swarm:
    """A Swarm of three engines, its manager first: where docker commands reach each, and the words
    that run a command in its network."""

    hosts: tuple[str, ...]
    insides: tuple[tuple[str, ...], ...]
    _tell: Callable[[str], str]

    @property
    def inside(self) -> tuple[str, ...]:
        """The manager's."""
        return self.insides[0]

    def kill(self, number: int) -> float:
        """The engine and all that runs on it, at once. Returns when."""
        return float(self._tell(f"kill {number}"))

    def start(self, number: int) -> None:
        self._tell(f"start {number}")

    def leave(self, number: int) -> None:
        """The engine leaves the Swarm, and is forgotten."""
        self._tell(f"leave {number}")

    def join(self, number: int) -> float:
        """It joins. Returns when it began to."""
        return float(self._tell(f"join {number}"))


@contextlib.contextmanager
def swarm(prepare: Callable[[], object]) -> Iterator[Swarm]:
    """A Swarm for every docker command in here, and for those of evener. `prepare` is done with its
    manager alone: the others get the images that it has then."""
    with _held("swarm") as (host, tell):
        os.environ["DOCKER_HOST"] = host
        try:
            prepare()
            told = json.loads(tell("others"))
            yield Swarm(tuple(told["hosts"]), tuple(map(tuple, told["insides"])), tell)
        finally:
            del os.environ["DOCKER_HOST"]


@contextlib.contextmanager
def networks() -> Iterator[tuple[list[list[str]], Callable[[str], str]]]:
    """Words that run a command in each: the head's, one beside it, two behind routers. And how to
    say `udp N passes|stops` and `rate MBIT`."""
    with _held("networks") as (said, tell):
        yield json.loads(said), tell


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


def asked(*arguments: str) -> str:
    """What docker says in one line."""
    return harness.run(["docker", *arguments], cwd=harness.ROOT).strip()
