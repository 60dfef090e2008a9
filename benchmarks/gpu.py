"""A GPU and the processors beside it in one run, against each of them alone.

Two cases. Where a sample costs them about the same (a small model in small pieces), the processors
have to bring what they are worth: the run is held against the sum of what the GPU and the
processors do by themselves. Where the GPU takes the whole batch at once, the processors are worth
nothing, and must not slow it down. All runs are alive at once and take turns of some seconds.

It needs a CUDA device, four processors and no Docker.
"""

from __future__ import annotations

import dataclasses
import functools
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import harness
import jobs
import turns
from evener.events import (
    RankParked,
    RankTimed,
    ReplicasCompared,
    SharesChanged,
    SpeedsFitted,
)
from evener.rundir.layout import RunDir
from harness import Case, MeasureError, Settings
from trial import Trials, look

PROCESSORS = 3  # ranks beside that of the GPU
BATCH = 256
PIECE = 4  # samples at once: what a GPU is as slow at as a processor
SUM_TARGET, BESIDE_TARGET = 0.95, 1.05
FULL = turns.Pattern(turns=8, span_s=4.0, warm_s=20.0, warm_steps=60, at_once=True)
QUICK = turns.Pattern(turns=3, span_s=3.0, warm_s=10.0, warm_steps=40, at_once=True)
ENDLESS = ("train.steps=10000000", "train.compare_every_steps=25")
SMALL = jobs.GPT.replace('device = "cpu"', 'device = "auto"') + "\n[membership]\nstandby = false\n"


@dataclass(frozen=True, slots=True)
class Training:
    """Who computes how large a batch, in which pieces."""

    batch: int
    more: tuple[str, ...]


ALONE = ("local.device=cuda",)
CPUS = ("local.device=cpu", f"local.workers={PROCESSORS}")
MIXED = ("local.device=cuda", f"local.cpu_workers={PROCESSORS}")


def measure(settings: Settings) -> Iterator[Case]:
    name = _gpu()
    if not name:
        raise MeasureError("torch sees no CUDA device here")
    pattern = QUICK if settings.quick else FULL
    with Trials() as trials:
        trials.write("text.txt", jobs.text_of_65_letters())
        trials.write("small.toml", SMALL)
        for take in (_sum, _beside):
            case = take(trials, pattern)
            yield dataclasses.replace(case, notes={"gpu": name, **case.notes})


def _sum(trials: Trials, pattern: turns.Pattern) -> Case:
    """Each side alone takes a part of the batch that is about its share: what a step costs beside
    its samples is the same for a small part and a large one."""
    pieces = f"train.micro_batch={PIECE}"
    part = BATCH // (PROCESSORS + 1)
    trainings = {
        "mixed": Training(BATCH, (*MIXED, pieces)),
        "gpu": Training(part, (*ALONE, pieces)),
        "processors": Training(BATCH - part, (*CPUS, pieces)),
    }
    rates, runs = _rates(trials, trainings, pattern)
    sums = [a + b for a, b in zip(rates["gpu"], rates["processors"], strict=True)]
    part_of_sum = harness.spread([a / b for a, b in zip(rates["mixed"], sums, strict=True)])
    over_gpu = harness.spread([a / b for a, b in zip(rates["mixed"], rates["gpu"], strict=True)])
    return Case(
        "sum", part_of_sum.median, SUM_TARGET, "x", at_most=False,
        sides={"of the sum": part_of_sum, "over the GPU alone": over_gpu, **_told(rates)},
        notes={"batch": BATCH, "micro_batch": PIECE, **_notes(runs["mixed"])},
    )  # fmt: skip


def _beside(trials: Trials, pattern: turns.Pattern) -> Case:
    trainings = {"mixed": Training(BATCH, MIXED), "gpu": Training(BATCH, ALONE)}
    rates, runs = _rates(trials, trainings, pattern)
    ratio = harness.spread([a / b for a, b in zip(rates["gpu"], rates["mixed"], strict=True)])
    return Case(
        "beside", ratio.median, BESIDE_TARGET, "x",
        sides={"step over the GPU's alone": ratio, **_told(rates)},
        notes={"batch": BATCH, **_notes(runs["mixed"])},
    )  # fmt: skip


def _rates(
    trials: Trials, trainings: dict[str, Training], pattern: turns.Pattern
) -> tuple[dict[str, list[float]], dict[str, RunDir]]:
    """Samples per second of each side, turn by turn, and its run."""
    runs: dict[str, RunDir] = {}

    def start(side: str) -> RunDir:
        what = trainings[side]
        words = (f"train.global_batch={what.batch}", *what.more, *ENDLESS)
        runs[side] = trials.start("small.toml", words)
        return runs[side]

    sides = {side: functools.partial(start, side) for side in trainings}
    taken = turns.step_s(trials, sides, pattern)
    rates = {side: [trainings[side].batch / s for s in taken[side]] for side in taken}
    return rates, runs


def _told(rates: dict[str, list[float]]) -> dict[str, harness.Spread]:
    return {f"{side} /s": harness.spread(taken) for side, taken in rates.items()}


def _notes(run: RunDir) -> dict[str, object]:
    """What the record has of shares, of who stood aside and of drift."""
    seen = look(run)
    moved, compared = seen.events(SharesChanged), seen.events(ReplicasCompared)
    fitted, parked = seen.events(SpeedsFitted), seen.events(RankParked)
    drifts = [max(event.drift) for event in compared]
    timed = {event.rank: event for event in seen.events(RankTimed)}  # the last of each
    return {
        "shares": moved[-1].shares if moved else (),
        "ranks": moved[-1].ranks if moved else (),
        "fixed_s": fitted[-1].fixed_s if fitted else (),
        "per_sample_s": fitted[-1].per_sample_s if fitted else (),
        "times": [dataclasses.asdict(timed[rank]) for rank in sorted(timed)],
        "parked": [f"rank {event.rank}: {event.reason}" for event in parked],
        "replicas compared": len(compared),
        "drift, typical": statistics.median(drifts) if drifts else None,
        "drift, largest": max(drifts, default=None),
        "states sent again": sum(len(event.resent) for event in compared),
    }


def _gpu() -> str:
    """Its name, asked of another process: this one leaves the GPU alone."""
    code = "import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else '')"
    return harness.run([sys.executable, "-c", code], cwd=harness.ROOT).strip()


if __name__ == "__main__":
    sys.exit(harness.main("gpu", measure, __doc__, busy=harness.busy_share))
