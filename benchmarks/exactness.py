"""Whoever computes which samples: the same weights come out, of the same samples, each once.

One job is trained alone and then in several splits; final weights and losses are compared, and
the data set itself writes down which samples were asked for. In one run a rank is killed.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import harness
import trial
from evener import api
from evener.events import RankStarted, SharesChanged, StepCommitted
from evener.rundir.layout import RunDir
from evener.rundir.store import Store
from harness import Case, MeasureError, Settings
from trial import Trial, Trials

SAMPLES, STEPS_PER_EPOCH = 225, 10  # no multiple of the batch, 24: an epoch ends with a short step
EPOCHS = 5  # 50 steps
ADAPTIVE = "2 adaptive"
SLOW_S = 0.02  # per sample on one of its ranks: shares have a reason to move, within 50 steps
RESUMED_ON = (1, 2, 5)
SEEN = 1e-6  # what one step too few must show at least; else the comparison is blind
SPLITS = {
    "17/7": ["local.workers=2", "balance.policy='fixed'", "balance.weights=[17, 7]"],
    "24/0": ["local.workers=2", "balance.policy='fixed'", "balance.weights=[24, 0]"],
    "9/8/7": ["local.workers=3", "balance.policy='fixed'", "balance.weights=[9, 8, 7]"],
    "5 against 2 micro-batches": [
        "local.workers=2", "balance.policy='fixed'", "balance.weights=[17, 7]",
        "train.micro_batch=4",
    ],
    ADAPTIVE: ["local.workers=2", "balance.window=2", "balance.min_gain=0.0"],
    "2 agents": ["local.workers=2", "local.agents=2"],
}  # fmt: skip
# Addition in another order changes last digits: the 16th in fp64, the 7th in fp32. Training may
# magnify them: AdamW at a rate of 1e-2 on noise makes 0.5 of 1e-16 within 180 steps, in any split
# and without any fault. So runs are of 50 steps at 1e-3, and the longer one, of the killed rank,
# takes plain SGD; `no_kill` in its notes is the proof that nothing else moves.
CLOSE = {"fp64": 1e-12, "fp32": 1e-5}
JOB = """
[model]
name = "gpt"
n_layer = 2
n_head = 2
n_embd = 32
block_size = 16

[data]
name = "witness:build"
args = {{ samples = {samples}, log = "{log}", pause_s = {pause_s}, slow_s = {slow_s} }}

[train]
global_batch = 24
steps = {steps}
precision = "{precision}"
optimizer = "{optimizer}"
lr = 1e-3
clip_norm = 1.0

[checkpoint]
every_s = 86400

[local]
device = "cpu"
threads = 1
"""


class Bench:
    """The runs of one precision, all of the same job."""

    def __init__(self, trials: Trials, precision: str, optimizer: str, epochs: int) -> None:
        self.trials, self.precision, self.optimizer = trials, precision, optimizer
        self.epochs = epochs
        self._numbers = itertools.count()
        shutil.copy(Path(__file__).with_name("witness.py"), trials.folder)

    def train(
        self,
        overrides: Sequence[str] = (),
        *,
        pause_s: float = 0.0,
        slow_s: float = 0.0,
        meanwhile: Callable[[RunDir], None] | None = None,
        until: str = "finished",
    ) -> tuple[Trial, Path]:
        log = self.trials.folder / f"{self.precision}-{next(self._numbers)}.log"
        text = JOB.format(
            samples=SAMPLES,
            log=log.as_posix(),
            pause_s=pause_s,
            slow_s=slow_s,
            steps=self.epochs * STEPS_PER_EPOCH,
            precision=self.precision,
            optimizer=self.optimizer,
        )
        job = self.trials.write("exact.toml", text)
        return self.trials.train(job, overrides, meanwhile=meanwhile, until=until), log

    def train_all_splits(self) -> tuple[dict[str, Trial], dict[str, Path]]:
        runs, logs = {}, {}
        for name, overrides in SPLITS.items():
            slow_s = SLOW_S if name == ADAPTIVE else 0.0
            runs[name], logs[name] = self.train(overrides, slow_s=slow_s)
        if len(runs[ADAPTIVE].events(SharesChanged)) < 2:
            raise MeasureError("the shares never moved, so no adaptive split was compared")
        return runs, logs


def measure(settings: Settings) -> Iterator[Case]:
    with Trials() as trials:
        bench = Bench(trials, "fp64", "adamw", EPOCHS)
        alone, log = bench.train()
        runs, logs = bench.train_all_splits()
        logs["alone"] = log
        yield _weights_case("weights-fp64", alone, runs, CLOSE["fp64"])
        yield _losses_case(alone, runs)
        yield _samples_case("samples-not-once", logs, bench.epochs)
        yield from _resumed_cases(bench, alone, RESUMED_ON[1:2] if settings.quick else RESUMED_ON)
        yield _killed_case(trials)
        if not settings.quick:
            single = Bench(trials, "fp32", "sgd", EPOCHS)
            alone, _ = single.train()
            runs, _ = single.train_all_splits()
            yield _weights_case("weights-fp32", alone, runs, CLOSE["fp32"])


def moving(steps: int) -> Case:
    """A run whose shares move against a single process; for uneven.py."""
    with Trials() as trials:
        bench = Bench(trials, "fp64", "sgd", steps // STEPS_PER_EPOCH)
        alone, _ = bench.train()
        moved, _ = bench.train(SPLITS[ADAPTIVE], slow_s=SLOW_S)
        moves = len(moved.events(SharesChanged))
        if moves < 2:
            raise MeasureError("the shares never moved")
        notes = {"steps": steps, "shares told": moves}
        return Case("exact", difference(alone, moved), CLOSE["fp64"], "max abs", notes=notes)


def _weights_case(name: str, alone: Trial, runs: Mapping[str, Trial], target: float) -> Case:
    found = {split: difference(alone, run) for split, run in runs.items()}
    return Case(name, max(found.values()), target, "max abs", notes=found)


def _losses_case(alone: Trial, runs: Mapping[str, Trial]) -> Case:
    expected = [commit.loss for _, commit in alone.commits]
    found = {}
    for split, run in runs.items():
        losses = [commit.loss for _, commit in run.commits]
        if len(losses) != len(expected):
            raise MeasureError(f"{split}: {len(losses)} steps instead of {len(expected)}")
        pairs = zip(expected, losses, strict=True)
        found[split] = max(abs(a - b) / abs(a) for a, b in pairs)
    return Case("losses-fp64", max(found.values()), CLOSE["fp64"], "relative", notes=found)


def _samples_case(name: str, logs: Mapping[str, Path], epochs: int) -> Case:
    """How many samples were not asked for exactly once an epoch, in all runs together."""
    wanted = Counter({f"{e} {i}": 1 for e in range(epochs) for i in range(SAMPLES)})
    found = {}
    for split, log in logs.items():
        asked = Counter(log.read_text().splitlines())
        found[split] = sum(abs(asked[key] - wanted[key]) for key in asked.keys() | wanted.keys())
    return Case(name, sum(found.values()), 0.0, notes=found)


def _resumed_cases(bench: Bench, alone: Trial, counts: Sequence[int]) -> Iterator[Case]:
    """Three ranks, stopped at a step that chance chooses, go on as one, two or five."""
    apart, logs, stopped_at = {}, {}, {}
    for ranks in counts:
        name = f"3 then {ranks}"
        run, logs[name] = bench.train(
            ["local.workers=3"], pause_s=0.02, meanwhile=stop_somewhere, until="stopped"
        )
        stopped_at[name] = run.commits[-1][1].step
        resumed = bench.trials.resume(run, [f"local.workers={ranks}"])
        apart[name] = difference(alone, resumed)
    notes = apart | {f"{name}: stopped at": step for name, step in stopped_at.items()}
    yield Case("weights-after-resume", max(apart.values()), CLOSE["fp64"], "max abs", notes=notes)
    yield _samples_case("samples-not-once-after-resume", logs, bench.epochs)


def _killed_case(trials: Trials) -> Case:
    """A rank is killed in the middle: same weights, and every step committed once, gap-free."""
    bench = Bench(trials, "fp64", "sgd", 20)
    alone, _ = bench.train()
    control, _ = bench.train(["local.workers=2"])
    killed, _ = bench.train(["local.workers=2"], pause_s=0.02, meanwhile=kill_a_rank)
    lives = sum(event.rank == 1 for event in killed.events(RankStarted))
    if lives < 2:
        raise MeasureError("the killed rank was never started again")
    cursors = [[c.cursor for _, c in run.commits] for run in (alone, killed)]
    if cursors[0] != cursors[1]:
        raise MeasureError("the killed run committed other steps than the one alone")
    one_step_less, _ = bench.train([f"train.steps={len(cursors[0]) - 1}"])
    seen = difference(alone, one_step_less)
    if seen < SEEN:
        raise MeasureError(f"one step less changes the weights by {seen:.1e} only")
    notes = {
        "no_kill": difference(alone, control),
        "one_step_less": seen,
        "lives": lives,
        "steps": len(cursors[0]),
    }
    apart = difference(alone, killed)
    return Case("weights-after-kill", apart, CLOSE["fp64"], "max abs", notes=notes)


def difference(one: Trial, other: Trial) -> float:
    """The largest difference of any weight."""
    a, b = trial.weights(one), trial.weights(other)
    if a.keys() != b.keys():
        raise MeasureError("the exported models have different tensors")
    return max(float((a[k].double() - b[k].double()).abs().max()) for k in a)


def kill_a_rank(run: RunDir) -> None:
    """kill -9 of rank 1 as soon as some steps are committed."""
    started = _wait_for_step(run, 3)
    os.kill([e.pid for e in started if e.rank == 1][-1], signal.SIGKILL)


def stop_somewhere(run: RunDir) -> None:
    """An orderly stop at a step of the middle part."""
    _wait_for_step(run, random.SystemRandom().randrange(5, 30))
    api.stop_run(run)


def _wait_for_step(run: RunDir, step: int, limit_s: float = 60.0) -> list[RankStarted]:
    """Until that step is committed; the ranks that were started until then."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        time.sleep(0.05)
        if not run.db.exists():
            continue
        with Store.open(run.db, write=False) as store:
            events = [record.event for record in store.records()]
        if any(isinstance(e, StepCommitted) and e.step >= step for e in events):
            return [e for e in events if isinstance(e, RankStarted)]
    raise MeasureError(f"step {step} was not committed within {limit_s:g} s")


if __name__ == "__main__":
    sys.exit(harness.main("exactness", measure, __doc__))
