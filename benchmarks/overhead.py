"""What evener's loop costs over the loop a person would write, step for step.

One rank against bare PyTorch; two ranks against torchrun with DDP, on the same machine, with the
same model, optimizer and global batch. A step is measured from its end to the end of the next, so
that everything around it counts: data, reports, the record.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import harness
import jobs
from harness import Case, Settings
from trial import Trials

BASELINE = Path(__file__).parent / "baselines" / "loop.py"
# Each side's second half counts. In the first, caches fill, shares settle, and evener's standby
# imports torch beside the ranks for ten seconds: a cost of the start, not of a step.
STEPS = {"gpt": 400, "resnet18": 40}
QUICK_STEPS = {"gpt": 80, "resnet18": 6}
QUICK_TURNS = {"gpt": 2, "resnet18": 1}
# Two ranks fill both cores of a small machine, whose speed then drifts by a tenth from one run to
# the next: only many turns tell the two sides apart.
TURNS = {1: 3, 2: 8}
# Alone, evener adds the control numbers, timing and reports of a step: 3 % of a step of 60 ms is
# 2 ms. Two ranks must not be slower than the yardstick by more than a machine's own jitter.
TARGETS = {1: 1.03, 2: 1.05}


def measure(settings: Settings) -> Iterator[Case]:
    steps = QUICK_STEPS if settings.quick else STEPS
    plans = [("gpt", 1), ("gpt", 2), ("resnet18", 1), ("resnet18", 2)]
    with Trials() as trials:
        trials.write("text.txt", jobs.text_of_65_letters())
        trials.write("gpt.toml", jobs.GPT)
        trials.write("resnet18.toml", jobs.RESNET18)
        for name, ranks in plans[:3] if settings.quick else plans:
            yield _compare(trials, name, ranks, steps[name], settings)


def _compare(trials: Trials, name: str, ranks: int, steps: int, settings: Settings) -> Case:
    yardstick = "bare" if ranks == 1 else "ddp"
    sides: dict[str, Callable[[], float]] = {
        yardstick: lambda: typical(baseline(trials.folder, name, ranks, steps)),
        "evener": lambda: typical(
            trials.train(f"{name}.toml", [f"train.steps={steps}", f"local.workers={ranks}"]).step_s
        ),
    }
    taken = harness.interleave(sides, QUICK_TURNS[name] if settings.quick else TURNS[ranks])
    ratio = harness.ratios(taken, "evener", yardstick)
    spreads = {f"{side} s": harness.spread(values) for side, values in taken.items()}
    return Case(
        f"{name}-{ranks}",
        ratio.median,
        TARGETS[ranks],
        "x",
        sides={"ratio": ratio, **spreads},
        notes={"steps": steps},
    )


def baseline(folder: Path, name: str, ranks: int, steps: int) -> list[float]:
    """Seconds of each step of the loop a person would write."""
    return list(harness.last_json(harness.run(command(name, ranks, steps), cwd=folder))["step_s"])


def command(name: str, ranks: int, steps: int) -> list[str | Path]:
    script: list[str | Path] = [BASELINE, name, "--steps", str(steps)]
    if ranks == 1:
        return [sys.executable, *script]
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={ranks}"]
    return [sys.executable, *torchrun, *script]


def typical(step_s: list[float]) -> float:
    """A step of the second half."""
    return statistics.median(step_s[len(step_s) // 2 :])


if __name__ == "__main__":
    sys.exit(harness.main("overhead", measure, __doc__, busy=harness.busy_share))
