"""What containers cost over processes of the same machine, and how long a person waits for them.

Two containers against two local agents of one rank each: the same processes in the same group, so
that what lies between them is Docker's. A full run measures one local agent with both ranks as
well, which is what `evener run` does by itself. Steps and starts come from the same runs, with the
image there and the steps of overhead.py.

It takes the engine that `docker info` answers for; where none does, the one of the tests, which
needs root on Linux. The first time an engine is used, its image is built: two minutes more.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import harness
import jobs
import overhead
from evener.config.schema import Image
from evener.image import recipe
from harness import Case, MeasureError, Settings
from trial import Trial, Trials

CONTAINERS = 2
STEPS, QUICK_STEPS = 400, 160
TURNS, QUICK_TURNS = 8, 3
STEP_TARGET, START_TARGET_S, REBUILD_TARGET_S, IMAGE_TARGET_GB = 1.05, 6.0, 5.0, 1.5
DOCKER, LOCAL, ONE_AGENT = "docker", "local", "one agent"
LOOK_S, BUILD_S, END_S = 5.0, 1800.0, 90.0
IMAGE = '\n[image]\nbase = "{base}"\ncuda = "cpu"\n'
MINE = """
[model]
name = "mine:build"

[data]
name = "synthetic_regression"

[train]
steps = 1
"""
CODE = """
from torch import nn

WRITTEN_AT = {now}


def build(shape):
    return nn.LazyLinear(shape.outputs)
"""


def measure(settings: Settings) -> Iterator[Case]:
    turns, steps = (QUICK_TURNS, QUICK_STEPS) if settings.quick else (TURNS, STEPS)
    with _engine(), Trials() as trials:
        base = Image().start
        image = IMAGE.format(base=base) + _wheels()
        trials.write("text.txt", jobs.text_of_65_letters())
        trials.write("gpt.toml", jobs.GPT + image)
        trials.write("mine.toml", MINE + image)
        tag = _build(trials, "gpt.toml")
        notes = {"engine": _about_engine(trials), "containers": CONTAINERS, "steps": steps}
        runs = harness.interleave(_sides(trials, steps, full=not settings.quick), turns)
        yield step_case(
            {side: [overhead.typical(trial.step_s) for trial in runs[side]] for side in runs}, notes
        )
        yield start_case(
            {side: [trial.first_step_s for trial in runs[side]] for side in runs}, notes
        )
        rebuilt = harness.spread([_rebuild_s(trials) for _ in range(turns)])
        sides = {"build s": rebuilt}
        yield Case("rebuild", rebuilt.median, REBUILD_TARGET_S, "s", sides=sides)
        size = int(_docker(trials, "image", "inspect", "--format={{.Size}}", tag)) / 1e9
        yield Case("image", size, IMAGE_TARGET_GB, "GB", notes=_about_base(trials, base))


def step_case(taken: dict[str, list[float]], notes: dict[str, Any]) -> Case:
    """A step in containers over one in processes, turn by turn."""
    ratio = harness.ratios(taken, DOCKER, LOCAL)
    sides = {f"{side} s": harness.spread(values) for side, values in taken.items()}
    sides = {"ratio": ratio, **sides}
    return Case("step", ratio.median, STEP_TARGET, "x", sides=sides, notes=notes)


def start_case(taken: dict[str, list[float]], notes: dict[str, Any]) -> Case:
    """How much later the first step is done, turn by turn."""
    pairs = zip(taken[DOCKER], taken[LOCAL], strict=True)
    later = harness.spread([there - here for there, here in pairs])
    sides = {f"{side} s": harness.spread(values) for side, values in taken.items()}
    sides = {"later s": later, **sides}
    return Case("start", later.median, START_TARGET_S, "s", sides=sides, notes=notes)


def _sides(trials: Trials, steps: int, *, full: bool) -> dict[str, Callable[[], Trial]]:
    def train(on: str, agents: int) -> Trial:
        split = [f"local.workers={CONTAINERS}", f"local.agents={agents}"]
        return trials.train("gpt.toml", [f"train.steps={steps}", *split], on=on)

    sides = {DOCKER: lambda: train("docker", CONTAINERS), LOCAL: lambda: train("local", CONTAINERS)}
    return sides | ({ONE_AGENT: lambda: train("local", 1)} if full else {})


# -------------------------------------------------------------------------------- images


def _build(trials: Trials, job: str) -> str:
    """The tag of the job's image, which is there when this returns."""
    command = [sys.executable, "-m", "evener", "image", "build", job]
    return harness.run(command, cwd=trials.folder, limit_s=BUILD_S).split()[-1]


def _rebuild_s(trials: Trials) -> float:
    trials.write("mine.py", CODE.format(now=time.time_ns()))
    started = time.monotonic()
    tag = _build(trials, "mine.toml")
    took = time.monotonic() - started
    _docker(trials, "image", "rm", tag)
    return took


def _wheels() -> str:
    """What the jobs say of wheels: a folder of them where torch's own index is not reached."""
    with contextlib.suppress(OSError), urllib.request.urlopen(recipe.TORCH_INDEX, timeout=LOOK_S):
        return ""
    folder = harness.run([*_lab("wheels")], cwd=harness.ROOT, limit_s=BUILD_S).strip()
    return f"wheels = '{folder}'\n"


def _about_base(trials: Trials, base: str) -> dict[str, str]:
    digest = _docker(trials, "image", "ls", "--digests", "--format={{.Digest}}", base).strip()
    standing_in = "a stand-in made on this machine (tests/lab: debootstrap), from no registry"
    return {"base": base, "origin": standing_in if digest == "<none>" else digest}


# -------------------------------------------------------------------------------- engine


@contextlib.contextmanager
def _engine() -> Iterator[None]:
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
    ) as lab:
        assert lab.stdin is not None
        assert lab.stdout is not None
        assert lab.stderr is not None
        host = lab.stdout.readline().strip()
        if not host:
            raise MeasureError(f"there is no Docker engine: {lab.stderr.read().strip()}")
        os.environ["DOCKER_HOST"] = host
        try:
            yield
        finally:
            del os.environ["DOCKER_HOST"]
            lab.stdin.close()
            try:
                lab.wait(END_S)
            except subprocess.TimeoutExpired:
                lab.kill()


def _answers() -> bool:
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, timeout=LOOK_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _lab(wanted: str) -> Sequence[str]:
    return [sys.executable, "-m", "tests.lab", wanted]


def _about_engine(trials: Trials) -> str:
    return _docker(trials, "info", "--format={{.ServerVersion}}, {{.Driver}}").strip()


def _docker(trials: Trials, *arguments: str) -> str:
    return harness.run(["docker", *arguments], cwd=trials.folder)


if __name__ == "__main__":
    sys.exit(harness.main("docker", measure, __doc__, busy=harness.busy_share))
