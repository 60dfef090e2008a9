"""What a training loop of one's own costs with evener.training, and whether it learns the same.

The same loop twice, on two equal ranks of this machine: under torchrun with DDP, and as a script of
evener. Once for the clock, and once in fp64 for the weights after the last step. Then in three
containers of speeds 4:2:1, against the sum of what each does by itself, as `uneven.py` measures it:
a script cannot rehearse, so its first steps show who is how fast.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

import harness
import jobs
import lab
import uneven
from harness import Case, MeasureError, Settings
from overhead import typical
from trial import Trials

LOOP = Path(__file__).parent / "baselines" / "own.py"
RANKS = 2
STEPS, QUICK_STEPS = 400, 80
TURNS, QUICK_TURNS = 8, 2
EXACT_STEPS = 40
SLOWER = 1.05  # two ranks fill a small machine: its own jitter is about that
UNEVEN, SUM_TARGET = (0.8, 0.4, 0.2), 0.9  # cores; of the sum of their speeds
DIFFERENT = 1e-12  # of weights about 1, in fp64: what another order of additions leaves
QUIET = (
    "checkpoint.every_s=86400", "local.device=cpu", "local.threads=1", "balance.policy=equal",
    f"local.workers={RANKS}",
)  # fmt: skip


def measure(settings: Settings) -> Iterator[Case]:
    with Trials() as trials:
        if settings.wants("steps"):
            yield _steps(trials, settings)
        if settings.wants("weights"):
            yield _weights(trials)
    if settings.wants("uneven") and (settings.only or not settings.quick):  # minutes, by itself
        yield _uneven(settings)


def _steps(trials: Trials, settings: Settings) -> Case:
    steps = QUICK_STEPS if settings.quick else STEPS
    sides = {
        "ddp": lambda: typical(with_ddp(trials.folder, "ddp.pt", steps)),
        "evener": lambda: typical(with_evener(trials, "evener.pt", steps)),
    }
    taken = harness.interleave(sides, QUICK_TURNS if settings.quick else TURNS)
    ratio = harness.ratios(taken, "evener", "ddp")
    spreads = {f"{side} s": harness.spread(values) for side, values in taken.items()}
    notes = {"steps": steps, "ranks": RANKS}
    return Case("steps", ratio.median, SLOWER, "x", sides={"ratio": ratio, **spreads}, notes=notes)


def _weights(trials: Trials) -> Case:
    with_ddp(trials.folder, "ddp.pt", EXACT_STEPS, "--fp64")
    with_evener(trials, "evener.pt", EXACT_STEPS, "--fp64")
    one, other = (torch.load(trials.folder / name) for name in ("ddp.pt", "evener.pt"))
    if one.keys() != other.keys():
        raise MeasureError("the two sides have trained different models")
    apart = max(float((one[name] - other[name]).abs().max()) for name in one)
    return Case("weights", apart, DIFFERENT, notes={"steps": EXACT_STEPS, "ranks": RANKS})


def _uneven(settings: Settings) -> Case:
    with lab.engine(), Trials() as trials:
        for file in (LOOP, LOOP.with_name("cases.py")):
            shutil.copy(file, trials.folder)
        image = lab.image_table()
        trials.write("image.toml", jobs.LOOP + image)
        bench = uneven.Bench(trials, image, lab.build(trials, "image.toml"), settings.quick)
        case = uneven.together(bench, "loop", UNEVEN, SUM_TARGET)
        return replace(case, name="uneven")


def with_ddp(folder: Path, out: str, steps: int, *more: str) -> list[float]:
    """Seconds of each step."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={RANKS}"]
    script = [str(LOOP), "--steps", str(steps), "--out", out, *more]
    words: list[str | Path] = [sys.executable, *torchrun, *script]
    return list(harness.last_json(harness.run(words, cwd=folder))["step_s"])


def with_evener(trials: Trials, out: str, steps: int, *more: str) -> list[float]:
    """Seconds of each step, by the run's record."""
    given = ["--evener", "--steps", str(steps), "--out", str(trials.folder / out), *more]
    return trials.train(LOOP, [*QUIET, f"script.args={json.dumps(given)}"]).step_s


if __name__ == "__main__":
    sys.exit(harness.main("scripts", measure, __doc__, busy=harness.busy_share))
