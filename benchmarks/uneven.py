"""What unequal machines do together, against the sum of what each does by itself.

Four containers with processor quotas of 0.8, 0.4, 0.2 and 0.2, one thread each, train together:
by evener's balance, by equal shares, and by plain torchrun with DistributedDataParallel. What each
does by itself is measured in the same rounds: the same container alone, on its own share. Beside
it stands the ceiling: what the best shares would come to by the speeds that evener fitted.

Then the fastest is slowed down in mid-run, a fifth of 0.02 joins and has to be left out, and the
weights of a run whose shares move are held against those of a single process.

It takes the engine that `docker info` answers for; where none does, that of the tests, which
needs root on Linux.
"""

from __future__ import annotations

import contextlib
import functools
import secrets
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import exactness
import harness
import jobs
import lab
from evener.events import RankParked, SharesChanged, SpeedsFitted
from evener.launch.containers import cap
from evener.rundir.layout import RunDir
from evener.shares import Speed, solve, step_time
from evener.watch import present
from harness import Case, MeasureError, Settings
from trial import Trial, Trials

QUOTAS = (0.8, 0.4, 0.2, 0.2)
SNAIL = 0.02
SUM_TARGET, AGAIN_TARGET, PARK_TARGET, MOVES_TARGET = 0.95, 0.9, 1.02, 5
ANSWER_STEPS = 20  # in which a slowdown is to be answered
SLOWDOWN = 2.0
STEADY_STEPS = 600
WARM_STEPS = 12  # after which shares stand, and every rank has what it needs in its caches
BATCHES = {"gpt": 256, "resnet18": 32}  # steps of half a second and more
STEPS, QUICK_STEPS = {"gpt": 40, "resnet18": 30}, {"gpt": 18}
SOLO_STEPS, QUICK_SOLO_STEPS = 14, 8
TURNS, QUICK_TURNS = 3, 1
# A standby imports torch for many seconds of a quota of 0.2: a cost of the start, not of a step.
STILL = "\n[membership]\nstandby = false\njoin_s = 300\nform_s = 60\n"
MACHINE = "\n[[machines]]\ncpus = {cpus}\n"
TORCHRUN = "evener-bench-torchrun"
JOBS = {"gpt": jobs.GPT, "resnet18": jobs.RESNET18}


@dataclass(frozen=True, slots=True)
class Bench:
    """Where the runs are made, and of how many steps."""

    trials: Trials
    image: str
    tag: str
    quick: bool

    def train(self, model: str, quotas: Sequence[float], *overrides: str, **more: Any) -> Trial:
        """A run of `model` in containers with these quotas."""
        machines = "".join(MACHINE.format(cpus=cpus) for cpus in quotas)
        name = f"{model}-{len(quotas)}.toml"
        self.trials.write(name, JOBS[model] + STILL + machines + self.image)
        return self.trials.train(name, overrides, on="docker", **more)


def measure(settings: Settings) -> Iterator[Case]:
    with lab.engine(), Trials() as trials:
        image = lab.image_table()
        trials.write("text.txt", jobs.text_of_65_letters())
        trials.write("image.toml", jobs.GPT + image)
        bench = Bench(trials, image, lab.build(trials, "image.toml"), settings.quick)
        for model in ("gpt",) if settings.quick else ("gpt", "resnet18"):
            yield _together(bench, model)
        if not settings.quick:
            yield _slowed(bench)
            yield _steady(bench)
            yield _parked(bench)
    yield exactness.moving(steps=100)


# ------------------------------------------------------------------------- sum of the speeds


def _together(bench: Bench, model: str) -> Case:
    batch, steps = BATCHES[model], (QUICK_STEPS if bench.quick else STEPS)[model]
    shares = _shares(batch)
    common = (f"train.global_batch={batch}", f"train.steps={steps}")
    ceilings: list[float] = []

    def evener() -> float:
        trial = bench.train(model, QUOTAS, *common)
        ceilings.append(trial.events(SpeedsFitted)[-1].possible_samples_per_s)
        return speed(trial.step_s, batch)

    def equal() -> float:
        few = f"train.steps={SOLO_STEPS}"
        trial = bench.train(model, QUOTAS, *common, few, "balance.policy=equal")
        return speed(trial.step_s, batch)

    sides: dict[str, Callable[[], float]] = {
        "solo": lambda: _alone(bench, model, shares),
        "evener": evener,
    }
    if not bench.quick:
        sides["equal"] = equal
        sides["torchrun"] = lambda: speed(_torchrun(bench, model, batch), batch)
    taken = harness.interleave(sides, QUICK_TURNS if bench.quick else TURNS)
    parts = {side: harness.ratios(taken, side, "solo") for side in sides if side != "solo"}
    ceiling = [c / s for c, s in zip(ceilings, taken["solo"], strict=True)]
    parts["ceiling"] = harness.spread(ceiling)
    spreads = {f"{side} /s": harness.spread(values) for side, values in taken.items()}
    return Case(
        f"{model}-sum",
        parts["evener"].median,
        SUM_TARGET,
        "x",
        at_most=False,
        sides={**parts, **spreads},
        notes={"quotas": QUOTAS, "shares alone": shares, "batch": batch, "steps": steps},
    )


def _shares(batch: int) -> list[int]:
    """What each is to do alone: its part by quota."""
    return [round(batch * quota / sum(QUOTAS)) for quota in QUOTAS]


def _alone(bench: Bench, model: str, shares: Sequence[int]) -> float:
    """The sum of what each does by itself; of two that are alike one is measured."""
    machines = list(zip(QUOTAS, shares, strict=True))
    speeds = {each: _solo(bench, model, *each) for each in dict.fromkeys(machines)}
    return sum(speeds[each] for each in machines)


def _solo(bench: Bench, model: str, quota: float, share: int) -> float:
    steps = QUICK_SOLO_STEPS if bench.quick else SOLO_STEPS
    wanted = (f"train.global_batch={share}", f"train.steps={steps}")
    return speed(bench.train(model, (quota,), *wanted).step_s, share)


def speed(step_s: Sequence[float], samples: int) -> float:
    """Samples per second, by the typical step of the second half."""
    return samples / statistics.median(step_s[len(step_s) // 2 :])


# ------------------------------------------------------------------------------ torchrun


def _torchrun(bench: Bench, model: str, batch: int) -> list[float]:
    """Seconds of each step of DDP in four containers like those of the runs."""
    folder, name = Path(__file__).parent / "baselines", f"{TORCHRUN}-{secrets.token_hex(3)}"
    docker = functools.partial(lab.docker, bench.trials)
    names = [f"{name}-{i}" for i in range(len(QUOTAS))]
    docker("network", "create", name)
    try:
        for i, quota in enumerate(QUOTAS):
            period_us, quota_us = cap(quota)
            docker(
                *("run", "--detach", "--name", names[i], "--network", name, "--shm-size=1g"),
                *(f"--cpu-period={period_us}", f"--cpu-quota={quota_us}", "--env=HOME=/tmp"),
                *("--volume", f"{folder}:/baselines:ro", "--env=OMP_NUM_THREADS=1", bench.tag),
                *("python", "-m", "torch.distributed.run", f"--nnodes={len(QUOTAS)}"),
                *(f"--node-rank={i}", f"--master-addr={names[0]}", "--master-port=29400"),
                *("/baselines/loop.py", model, "--steps", str(SOLO_STEPS), "--batch", str(batch)),
            )
        docker("wait", names[0])
        return list(harness.last_json(docker("logs", names[0]))["step_s"])
    finally:
        docker("rm", "--force", *names)
        docker("network", "rm", name)


# ------------------------------------------------------------------------------ slowdown


def _slowed(bench: Bench) -> Case:
    """The fastest gets half of its quota; what the others then do with it is the new optimum."""
    batch = BATCHES["gpt"]
    wanted = (f"train.global_batch={batch}", "train.steps=80")
    slowed_at: list[float] = []
    trial = bench.train("gpt", QUOTAS, *wanted, meanwhile=lambda run: _slow(bench, run, slowed_at))
    commits = [at for at, _ in trial.commits]
    first = next(i for i, at in enumerate(commits) if at > slowed_at[0])
    answered = trial.step_s[first + ANSWER_STEPS :]
    best = _best_after(trial, commits[first], batch)
    figure = batch / statistics.median(answered) / best
    moves = [e.step for e in trial.events(SharesChanged) if e.step > first]
    sides = {"speed after /s": harness.spread([batch / s for s in answered])}
    return Case(
        "slowdown",
        figure,
        AGAIN_TARGET,
        "x",
        at_most=False,
        sides=sides,
        notes={"slowed at step": first, "optimum /s": best, "shares moved at": moves},
    )


def _slow(bench: Bench, run: RunDir, slowed_at: list[float]) -> None:
    """Waits until the run trains steadily, then halves the quota of the fastest machine."""
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline:
        with contextlib.suppress(Exception):
            if present(run).step >= WARM_STEPS + 8:
                break
        time.sleep(0.5)
    found = lab.docker(bench.trials, "ps", "--format={{.Names}}").split()
    name = next(each for each in found if each.endswith("machine-0"))
    period_us, quota_us = cap(QUOTAS[0] / SLOWDOWN)
    limits = (f"--cpu-period={period_us}", f"--cpu-quota={quota_us}")
    lab.docker(bench.trials, "update", *limits, name)
    slowed_at.append(time.time())


def _best_after(trial: Trial, at: float, batch: int) -> float:
    """The optimum for the lines as they were before, the first machine's scaled."""
    before = [r.event for r in trial.records if isinstance(r.event, SpeedsFitted) and r.time < at]
    last = before[-1]
    speeds = [
        Speed(a * scale, b * scale)
        for a, b, scale in zip(
            last.fixed_s, last.per_sample_s, (SLOWDOWN, 1.0, 1.0, 1.0), strict=True
        )
    ]
    return batch / step_time(speeds, solve(speeds, batch))


def _steady(bench: Bench) -> Case:
    wanted = ("train.global_batch=96", f"train.steps={STEADY_STEPS + WARM_STEPS}")
    trial = bench.train("gpt", QUOTAS, *wanted)
    moves = [e.step for e in trial.events(SharesChanged) if e.step > WARM_STEPS]
    notes = {"steps": STEADY_STEPS, "moved at": moves}
    return Case("moves", len(moves), MOVES_TARGET, notes=notes)


# --------------------------------------------------------------------------------- parked


def _parked(bench: Bench) -> Case:
    """A fifth machine that cannot help against the four without it."""
    batch = BATCHES["gpt"]
    wanted = (f"train.global_batch={batch}", f"train.steps={STEPS['gpt']}")
    reasons: list[str] = []

    def run(quotas: Sequence[float]) -> float:
        trial = bench.train("gpt", quotas, *wanted)
        reasons.extend(f"rank {e.rank}: {e.reason}" for e in trial.events(RankParked))
        return statistics.median(trial.step_s[len(trial.step_s) // 2 :])

    sides = {"five": lambda: run((*QUOTAS, SNAIL)), "four": lambda: run(QUOTAS)}
    taken = harness.interleave(sides, TURNS)
    if len(reasons) < TURNS:
        raise MeasureError(f"the fifth machine was not parked every time: {reasons}")
    ratio = harness.ratios(taken, "five", "four")
    spreads = {f"{side} s": harness.spread(values) for side, values in taken.items()}
    return Case(
        "parked", ratio.median, PARK_TARGET, "x",
        sides={"ratio": ratio, **spreads}, notes={"quota": SNAIL, "why": reasons[0]},
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(harness.main("uneven", measure, __doc__, busy=harness.busy_share))
