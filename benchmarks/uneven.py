"""What unequal machines do together, against the sum of what each does by itself.

Four containers with processor quotas of 0.8, 0.4, 0.2 and 0.2, one thread each, train together:
by evener's balance, by equal shares, and by plain torchrun with DistributedDataParallel. What each
does by itself, alone on its own share, is measured in turns of some seconds with what they do
together: who waits is frozen. (Equal shares and torchrun are measured by themselves, afterwards.)
Beside it stands the ceiling: what the best shares would come to by the speeds evener fitted.

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
import turns
from evener.errors import EvenerError
from evener.events import RankParked, SharesChanged, SpeedsFitted
from evener.launch.containers import cap
from evener.rundir.layout import RunDir
from evener.shares import Speed, solve, step_time
from evener.watch import present
from harness import Case, MeasureError, Settings
from trial import Trial, Trials, look

QUOTAS = (0.8, 0.4, 0.2, 0.2)
SNAIL = 0.02
SUM_TARGET, AGAIN_TARGET, PARK_TARGET, MOVES_TARGET = 0.95, 0.9, 1.02, 5
ANSWER_STEPS = 20  # in which a slowdown is to be answered
SLOWDOWN = 2.0
STEADY_STEPS = 600
WARM_STEPS = 12  # after which shares stand, and every rank has what it needs in its caches
BATCH, QUICK_BATCH = 192, 96  # of gpt: steps of half a second and more
# Of the sums: what the exchange costs is the same for a small batch and a large one, and a machine
# that has a fifth of a processor pays it with that fifth.
SUM_BATCHES = {"gpt": 512, "resnet18": 256, "loop": 448}
TYPICAL_STEPS = {"gpt": 14, "resnet18": 6, "loop": 14}  # of what is measured beside the turns: half
TORCHRUN_KNOWS = ("gpt", "resnet18")
FIRST_MOVES = 6  # of the shares, to show how soon they are right
TORCHRUNS = 2
# Two per cent are looked for where single turns differ by ten.
PARKED = turns.Pattern(turns=20, span_s=8.0, warm_steps=WARM_STEPS)
SUMS = {
    "gpt": turns.Pattern(turns=5, span_s=20.0, warm_steps=WARM_STEPS),
    "loop": turns.Pattern(turns=5, span_s=20.0, warm_steps=WARM_STEPS),
    "resnet18": turns.Pattern(turns=3, span_s=20.0, warm_steps=WARM_STEPS // 2),  # of 20 s each
}
QUICK = turns.Pattern(turns=3, span_s=5.0, warm_steps=WARM_STEPS, at_once=True)
ENDLESS = "train.steps=1000000"  # of a run that is ended when it has been measured
PARKED_S = 1200.0  # importing torch is minutes of such a quota
# A standby imports torch for many seconds of a quota of 0.2: a cost of the start, not of a step.
STILL = "\n[membership]\nstandby = false\njoin_s = 300\nform_s = 60\n"
MACHINE = "\n[[machines]]\ncpus = {cpus}\n"
TORCHRUN = "evener-bench-torchrun"
JOBS = {"gpt": jobs.GPT, "resnet18": jobs.RESNET18, "loop": jobs.LOOP}


@dataclass(frozen=True, slots=True)
class Bench:
    """Where the runs are made, and of how many steps."""

    trials: Trials
    image: str
    tag: str
    quick: bool

    def train(self, model: str, quotas: Sequence[float], *overrides: str, **more: Any) -> Trial:
        """A run of `model` in containers with these quotas, to its end."""
        return self.trials.train(self._job(model, quotas), overrides, on="docker", **more)

    def start(self, model: str, quotas: Sequence[float], *overrides: str) -> RunDir:
        """One that goes on until it is ended."""
        words = (*overrides, ENDLESS)
        return self.trials.start(self._job(model, quotas), words, on="docker")

    def _job(self, model: str, quotas: Sequence[float]) -> Path:
        machines = "".join(MACHINE.format(cpus=cpus) for cpus in quotas)
        text = JOBS[model] + STILL + machines + self.image
        return self.trials.write(f"{model}-{'-'.join(map(str, quotas))}.toml", text)


def measure(settings: Settings) -> Iterator[Case]:
    with lab.engine(), Trials() as trials:
        image = lab.image_table()
        trials.write("text.txt", jobs.text_of_65_letters())
        trials.write("image.toml", jobs.GPT + image)
        bench = Bench(trials, image, lab.build(trials, "image.toml"), settings.quick)
        cases: dict[str, Callable[[], Case]] = {
            "gpt-sum": lambda: together(bench, "gpt", QUOTAS, SUM_TARGET),
            "resnet18-sum": lambda: together(bench, "resnet18", QUOTAS, SUM_TARGET),
            "slowdown": lambda: _slowed(bench),
            "moves": lambda: _steady(bench),
            "parked": lambda: _parked(bench),
        }
        for name, take in cases.items():
            if settings.wants(name) and not (settings.quick and name != "gpt-sum"):
                yield take()
    if settings.wants("exact"):
        yield exactness.moving(steps=100)


# ------------------------------------------------------------------------- sum of the speeds


def together(bench: Bench, model: str, quotas: Sequence[float], target: float) -> Case:
    """Machines of these quotas against what each does alone."""
    batch, pattern = (SUM_BATCHES[model], SUMS[model])
    if bench.quick:
        batch, pattern = QUICK_BATCH, QUICK
    trainings = {"evener": Training(quotas, batch)}
    for quota in quotas:
        trainings[f"alone {quota}"] = Training((quota,), round(batch * quota / sum(quotas)))
    runs: dict[str, RunDir] = {}

    def start(side: str) -> RunDir:
        what = trainings[side]
        runs[side] = bench.start(model, what.quotas, f"train.global_batch={what.batch}")
        return runs[side]

    sides = {side: functools.partial(start, side) for side in trainings}
    taken = turns.step_s(bench.trials, sides, pattern)
    rates = {side: [trainings[side].batch / s for s in taken[side]] for side in taken}
    possible = look(runs["evener"]).events(SpeedsFitted)[-1].possible_samples_per_s
    beside = {"ceiling": [possible]}
    if not bench.quick:
        beside["equal"] = [_equal(bench, model, quotas, batch)]
    if not bench.quick and model in TORCHRUN_KNOWS:
        beside["torchrun"] = [_torchrun(bench, model, batch) for _ in range(TORCHRUNS)]
    notes = {"quotas": quotas, "batch": batch, "turn_s": pattern.span_s}
    notes["first shares"] = [[e.step, *e.shares] for e in _moves(runs["evener"])[:FIRST_MOVES]]
    return sum_case(Sum(f"{model}-sum", quotas, target), rates, beside, notes)


def _moves(run: RunDir) -> list[SharesChanged]:
    return look(run).events(SharesChanged)


@dataclass(frozen=True, slots=True)
class Sum:
    """What a sum is of, and how much of it is enough."""

    name: str
    quotas: Sequence[float]
    target: float


@dataclass(frozen=True, slots=True)
class Training:
    """On which quotas, with how many samples a step."""

    quotas: Sequence[float]
    batch: int


def sum_case(
    what: Sum,
    rates: dict[str, list[float]],
    beside: dict[str, list[float]],
    notes: dict[str, Any],
) -> Case:
    """`rates` in samples per second, turn by turn: of each machine alone, and together. What was
    measured `beside` the turns is held against the typical sum."""
    alone = [rates[f"alone {quota}"] for quota in what.quotas]
    sums = [sum(turn) for turn in zip(*alone, strict=True)]
    together = {side: taken for side, taken in rates.items() if not side.startswith("alone")}
    parts = {
        side: harness.spread([rate / whole for rate, whole in zip(taken, sums, strict=True)])
        for side, taken in together.items()
    }
    typical = statistics.median(sums)
    parts |= {k: harness.spread([v / typical for v in values]) for k, values in beside.items()}
    spreads = {f"{side} /s": harness.spread(taken) for side, taken in (rates | beside).items()}
    figure, sides = parts["evener"].median, {**parts, **spreads}
    return Case(what.name, figure, what.target, "x", at_most=False, sides=sides, notes=notes)


# ------------------------------------------------------------------- equal shares, torchrun


def _equal(bench: Bench, model: str, quotas: Sequence[float], batch: int) -> float:
    """Samples per second of the same run with shares that are equal."""
    steps = f"train.steps={TYPICAL_STEPS[model]}"
    words = (f"train.global_batch={batch}", steps, "balance.policy=equal")
    return batch / _typical(bench.train(model, quotas, *words).step_s)


def _typical(step_s: Sequence[float]) -> float:
    return statistics.median(step_s[len(step_s) // 2 :])


def _torchrun(bench: Bench, model: str, batch: int) -> float:
    """Samples per second of DDP in four containers like those of the runs."""
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
                *("/baselines/loop.py", model, f"--steps={TYPICAL_STEPS[model]}"),
                f"--batch={batch}",
            )
        docker("wait", names[0])
        step_s: list[float] = harness.last_json(docker("logs", names[0]))["step_s"]
        return batch / _typical(step_s)
    finally:
        docker("rm", "--force", *names)
        docker("network", "rm", name)


# ------------------------------------------------------------------------------ slowdown


def _slowed(bench: Bench) -> Case:
    """The fastest gets half of its quota; what the others then do with it is the new optimum."""
    batch = BATCH
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
    """The optimum for the lines as they were before, the first machine's scaled; or as they were
    fitted in the end, if that is more: a machine that was starting seemed slower than it is."""
    fitted = [(r.time, r.event) for r in trial.records if isinstance(r.event, SpeedsFitted)]
    last = [event for told, event in fitted if told < at][-1]
    speeds = [
        Speed(a * scale, b * scale)
        for a, b, scale in zip(
            last.fixed_s, last.per_sample_s, (SLOWDOWN, 1.0, 1.0, 1.0), strict=True
        )
    ]
    scaled = batch / step_time(speeds, solve(speeds, batch))
    return max(scaled, fitted[-1][1].possible_samples_per_s)


def _steady(bench: Bench) -> Case:
    wanted = ("train.global_batch=96", f"train.steps={STEADY_STEPS + WARM_STEPS}")
    trial = bench.train("gpt", QUOTAS, *wanted)
    moves = [e.step for e in trial.events(SharesChanged) if e.step > WARM_STEPS]
    notes = {"steps": STEADY_STEPS, "moved at": moves}
    return Case("moves", len(moves), MOVES_TARGET, notes=notes)


# --------------------------------------------------------------------------------- parked


def _parked(bench: Bench) -> Case:
    """A fifth machine that cannot help against the four without it."""
    batch = f"train.global_batch={BATCH}"
    reasons: list[str] = []

    def five() -> RunDir:
        run = bench.start("gpt", (*QUOTAS, SNAIL), batch)
        reasons.append(_reason(run))
        return run

    sides = {"five": five, "four": lambda: bench.start("gpt", QUOTAS, batch)}
    taken = turns.step_s(bench.trials, sides, PARKED)
    ratio = harness.ratios(taken, "five", "four")
    spreads = {f"{side} s": harness.spread(values) for side, values in taken.items()}
    return Case(
        "parked", ratio.median, PARK_TARGET, "x",
        sides={"ratio": ratio, **spreads}, notes={"quota": SNAIL, "why": reasons[0]},
    )  # fmt: skip


def _reason(run: RunDir) -> str:
    """Why a rank was parked, as soon as one was."""
    deadline = time.monotonic() + PARKED_S
    while time.monotonic() < deadline:
        with contextlib.suppress(EvenerError):
            for event in look(run).events(RankParked):
                return f"rank {event.rank}: {event.reason}"
        time.sleep(0.5)
    raise MeasureError("the fifth machine was not parked")


if __name__ == "__main__":
    sys.exit(harness.main("uneven", measure, __doc__, busy=harness.busy_share))
