"""What a training loop of one's own costs with evener.training, and whether it learns the same.

The same loop twice, on two equal ranks of this machine: under torchrun with DDP, and as a script of
evener. Once for the clock, and once in fp64 for the weights after the last step. Then in three
containers of speeds 4:2:1, against the sum of what each does by itself, as `uneven.py` measures it:
a script cannot rehearse, so its first steps show who is how fast.

And a script for torchrun on a Swarm of three engines, which knows nothing of evener: how long until
its next step when one of them loses its power, the one of the head among them, and until one that
joins takes part. That needs root on Linux.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

import harness
import jobs
import lab
import uneven
from evener.errors import EvenerError
from evener.events import Event, GenerationFormed, RankStarted, StepCommitted
from evener.rundir.layout import RunDir
from harness import Case, MeasureError, Settings
from overhead import typical
from trial import Trials, look

LOOP = Path(__file__).parent / "baselines" / "own.py"
SCRIPT = harness.ROOT / "examples" / "ddp_with_checkpoints.py"
RANKS = 2
STEPS, QUICK_STEPS = 400, 80
TURNS, QUICK_TURNS = 8, 2
EXACT_STEPS = 40
SLOWER = 1.05  # two ranks fill a small machine: its own jitter is about that
UNEVEN, SUM_TARGET = (0.8, 0.4, 0.2), 0.9  # cores; of the sum of their speeds
DIFFERENT = 1e-12  # of weights about 1, in fp64: what another order of additions leaves
MACHINES, HEADS, ANOTHER, LAST = 3, 0, 1, 2  # engines of the Swarm, by their numbers
LOST_S, JOINED_S = 12.0, 15.0
TIMES, QUICK_TIMES = 5, 1
AWAY_S = LOST_S + 2  # of the head's engine: by then the others have gone on, or it is too late
CALM_S = 12.0  # warm processes wait again by then, and the newest checkpoint is on every machine
PATIENCE_S, LOOK_S = 90.0, 0.5
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
    if settings.only or not settings.quick:  # minutes, each of them
        if settings.wants("uneven"):
            yield _uneven(settings)
        if any(map(settings.wants, ("lost", "lost-head", "joined"))):
            yield from _on_a_swarm(settings)


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


def _on_a_swarm(settings: Settings) -> Iterator[Case]:
    times = QUICK_TIMES if settings.quick else TIMES
    with lab.swarm(_build) as swarm, _with_script(swarm.inside) as trials:
        run = trials.start("script.toml", on="swarm")
        if settings.wants("lost"):
            yield _lost("lost", run, swarm, [(LAST, ANOTHER)[n % 2] for n in range(times)])
        if settings.wants("joined"):
            taken = harness.spread([_join_s(run, swarm) for _ in range(times)])
            yield Case("joined", taken.median, JOINED_S, "s", sides={"s": taken})
        if settings.wants("lost-head"):  # last: Swarm starts no task a sixth time in ten minutes
            yield _lost("lost-head", run, swarm, [HEADS] * times, AWAY_S)
        trials.end(run)


def _build() -> None:
    with _with_script() as trials:
        lab.build(trials, "script.toml")


@contextlib.contextmanager
def _with_script(inside: Sequence[str] = ()) -> Iterator[Trials]:
    with Trials(inside) as trials:
        shutil.copy(SCRIPT, trials.folder / "train.py")
        trials.write("script.toml", jobs.DDP + lab.image_table())
        yield trials


def _lost(
    name: str, run: RunDir, swarm: lab.Swarm, numbers: list[int], away_s: float = 0.0
) -> Case:
    """From the loss to the script's new processes, and to the first step that they print."""
    gaps = [_gap(run, swarm, number, away_s) for number in numbers]
    starts, steps = (harness.spread(values) for values in zip(*gaps, strict=True))
    return Case(name, steps.median, LOST_S, "s", sides={"start s": starts, "step s": steps})


def _gap(run: RunDir, swarm: lab.Swarm, number: int, away_s: float) -> tuple[float, float]:
    """An engine dies with all that runs on it. Without its head the record is written when that
    is back; events have the times of those who tell them."""
    _calm(run, MACHINES)
    at = swarm.kill(number)
    time.sleep(away_s)
    if away_s:
        swarm.start(number)
    stepped = _step_after(run, at, f"after engine {number} was lost")
    if not away_s:
        swarm.start(number)
    began = _after(run, RankStarted, at)
    assert began is not None
    return began - at, _told(stepped - at, f"engine {number} lost")


def _join_s(run: RunDir, swarm: lab.Swarm) -> float:
    """From a machine's joining the Swarm to the first step that it takes part in."""
    _calm(run, MACHINES)
    swarm.leave(LAST)
    _calm(run, MACHINES - 1)
    at = swarm.join(LAST)
    stepped = _step_after(run, at, "with the machine that joined")
    if _together(run) != MACHINES:
        raise MeasureError("the script began anew without the machine that joined")
    return _told(stepped - at, "joined")


def _told(seconds: float, what: str) -> float:
    """Each takes a minute: who waits sees that it goes on."""
    print(f"scripts: {what}: {seconds:.2f} s", file=sys.stderr, flush=True)
    return seconds


def _calm(run: RunDir, machines: int) -> None:
    """So many train, and have what they need to go on when one is lost."""
    seen = "nothing"

    def all_train() -> bool:
        nonlocal seen
        seen = f"{_together(run)} of {machines} machines"
        return _together(run) == machines

    _await(all_train, lambda: f"{seen} print steps together")
    time.sleep(CALM_S)


def _step_after(run: RunDir, at: float, when: str) -> float:
    def stepped() -> float | None:
        return _after(run, StepCommitted, at)

    _await(lambda: stepped() is not None, lambda: f"no step is printed {when}")
    found = stepped()
    assert found is not None
    return found


def _after(run: RunDir, kind: type[Event], at: float) -> float | None:
    """When the first of this kind came in the first start of the script after `at`."""
    records = look(run).records
    starts = [r.time for r in records if isinstance(r.event, RankStarted) and r.time > at]
    found = (r.time for r in records if isinstance(r.event, kind) and starts)
    return min((time for time in found if time >= min(starts)), default=None)


def _together(run: RunDir) -> int:
    """How many take part, as far as the script has come: 0 while it begins. What was told while
    the head was away may come in after what came later."""
    trial = look(run)
    newest = max(trial.events(GenerationFormed), key=lambda e: e.generation, default=None)
    steps = {e.generation // 2 for e in trial.events(StepCommitted)}
    return len(newest.ranks) if newest and newest.generation // 2 in steps else 0


def _await(holds: Callable[[], object], otherwise: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not _now(holds):
        if time.monotonic() > deadline:
            raise MeasureError(f"{otherwise()}, {PATIENCE_S:.0f} s on")
        time.sleep(LOOK_S)


def _now(holds: Callable[[], object]) -> bool:
    """A record that is not there yet holds nothing."""
    try:
        return bool(holds())
    except EvenerError:
        return False


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
