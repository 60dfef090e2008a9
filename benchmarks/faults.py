"""What a fault costs, by the ledgers that every rank writes: seconds until the next committed step.

Three agents with a rank each train on this machine while things are done to them: a rank is killed,
a machine (agent, rank and standby) frozen and thawed, the head killed, the head's machine lost.
Beside it the same loss under torchrun, as it comes and tuned; what a rejoin and a checkpoint cost
who trains; whether a flipped bit in a checkpoint is found; and whether the weights of a run that
went through it all are those of a run that did not. After each run `evener audit`'s findings must
all be kept: no step lost, no sample taken twice.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import random
import shutil
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file

import elastic
import harness
import turns
from evener import audit
from evener.agent.hosting import LIVED_S
from evener.agent.relapse import QUICK_S
from evener.errors import CheckpointDamaged
from evener.events import CheckpointWritten, RankStarted
from evener.launch import base
from evener.rundir import checkpoints, ledger
from evener.rundir.layout import RunDir
from evener.rundir.ledger import Life, Line
from evener.wire.frames import split_address
from harness import Case, MeasureError, Settings, Spread
from trial import Trial, Trials, look

RANKS = 3
LATELY_BYTES, JUST_NOW_BYTES = 2**19, 2**15  # of a ledger: some thousand, and a few hundred steps
USUAL_STEPS = 20  # whose median is what a step takes
CALM_S = 4.0  # between a rank's return and the next fault: its standby is warm by then
PATIENCE_S = 60.0
KILL_S, KILL_WORST_S, FREEZE_S, THAW_S = 0.5, 1.5, 4.0, 5.0
HEAD_S, TAKEOVER_S, REJOIN_S = 3.0, 10.0, 1.0
STALL_PER_CENT, WEIGHTS = 1.0, 1e-12
FLIPS = 200
LONG = ("head-pause", "machine", "rejoin", "checkpoint")  # not part of a quick run
EVERY_S = 60.0  # a checkpoint a minute
WRITE_STEPS = 30  # by which one is written

COMMON = """
[validation]
at_end = false

[checkpoint]
every_s = 86400

[log]
every_s = 0.2

[balance]
park = false

[local]
device = "cpu"
threads = 1
workers = {ranks}
agents = {ranks}

[train]
steps = 10000000
global_batch = {batch}
schedule = "constant"
lr = 1e-4
precision = "{precision}"

[data]
name = "synthetic_image"
samples = 960
validation_samples = 8

[model]
name = "mlp"
hidden = {hidden}
"""
SMALL = COMMON.format(ranks=RANKS, batch=192, precision="fp64", hidden=[256, 256])
TEN_MILLION = COMMON.format(ranks=RANKS, batch=48, precision="fp32", hidden=[2048, 2048])


# ------------------------------------------------------------------------------ a run in trouble


@dataclass(frozen=True, slots=True)
class Patient:
    """A run that things are done to."""

    trials: Trials
    run: RunDir

    def lives(self, rank: int, newest_bytes: int = 2**40) -> list[Life]:
        """What its processes committed; only the end of it where that does."""
        file = self.run.ledger(rank)
        if not file.exists():
            return []
        begin = max(0, file.stat().st_size - newest_bytes)
        with file.open("rb") as opened:
            opened.seek(begin)
            text = opened.read().decode()
        return ledger.parse(text.partition("\n")[2] if begin else text, file)

    def lines(self, rank: int, newest_bytes: int = 2**40) -> list[Line]:
        return [line for life in self.lives(rank, newest_bytes) for line in life.lines]

    def until(
        self,
        wanted: Callable[[], float | None],
        what: str,
        look_s: float = 0.02,
        patience_s: float = PATIENCE_S,
    ) -> float:
        """What `wanted` comes to, once it is something."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            found = wanted()
            if found is not None:
                return found
            time.sleep(look_s)
        raise MeasureError(f"{self.run.name}: {what} did not happen within {patience_s:.0f} s")

    def calm(self, ranks: Sequence[int], victim: int = 0) -> None:
        """Until all of these train together, the next one for so long that its death is no
        relapse."""

        def settled() -> float | None:
            lives = [self.lives(rank, LATELY_BYTES)[-1:] for rank in ranks]
            if not all(life and life[0].lines for life in lives):
                return None
            words, now = [life[0].lines for life in lives], time.time()
            newest = [lines[-1] for lines in words]
            together = len({line.ballot for line in newest}) == 1
            fresh = min(line.time for line in newest) > now - 1
            whole = all(len(line.shares) == len(ranks) for line in newest)
            ripe = words[ranks.index(victim)][0].time < now - QUICK_S - 1
            since = min(line.time for line in words[0] if line.ballot == newest[0].ballot)
            calm = now - since > CALM_S
            return now if together and fresh and whole and ripe and calm else None

        self.until(settled, f"that ranks {list(ranks)} train together", look_s=0.25)

    def committed(self) -> dict[int, float]:
        """When each step was first there."""
        first: dict[int, float] = {}
        for rank in range(RANKS):
            for line in self.lines(rank):
                first[line.step] = min(line.time, first.get(line.step, line.time))
        return first

    def step_s(self, rank: int) -> float:
        times = [line.time for line in self.lines(rank, JUST_NOW_BYTES)[-USUAL_STEPS:]]
        return statistics.median(b - a for a, b in itertools.pairwise(times))

    def next_of(self, ranks: Iterable[int], since: float, before: Line) -> float:
        """When the first of these ranks committed a step in a generation after `before`'s."""
        ranks = list(ranks)

        def first() -> float | None:
            after = [
                line.time
                for rank in ranks
                for line in self.lines(rank, JUST_NOW_BYTES)
                if line.time > since and line.ballot > before.ballot
            ]
            return min(after, default=None)

        return self.until(first, f"a step of ranks {ranks}")

    def gap_s(self, rank: int, since: float, until: float) -> float:
        times = [line.time for line in self.lines(rank) if since - 1 < line.time < until]
        return max(b - a for a, b in itertools.pairwise(times))

    def pid(self, rank: int) -> int:
        return [e.pid for e in look(self.run).events(RankStarted) if e.rank == rank][-1]

    def processes(self, purpose: str) -> list[int]:
        handle = base.read_handle(self.run)
        assert handle is not None
        return [process.pid for process in handle.processes if process.purpose == purpose]

    def end(self) -> Trial:
        """Stop it, and hold it against the promises."""
        self.trials.stop(self.run)
        broken = [finding for finding in audit.audit(self.run) if not finding.kept]
        if broken:
            raise MeasureError(f"{self.run.name} broke a promise: {broken}")
        return look(self.run)


@contextlib.contextmanager
def patient(trials: Trials, job: str, *overrides: str) -> Iterator[Patient]:
    yield (found := Patient(trials, trials.start(trials.write("job.toml", job), overrides)))
    found.end()


def each(
    name: str, values: Sequence[float], target: float, worst: float | None = None, **beside: Spread
) -> Iterator[Case]:
    """The median against its target, and the worst against its own."""
    sides = {"s": harness.spread(values), **beside}
    notes = {"worst": max(values), "runs": len(values)}
    yield Case(name, statistics.median(values), target, "s", sides=sides, notes=notes)
    if worst is not None:
        yield Case(f"{name}-worst", max(values), worst, "s")


# --------------------------------------------------------------------------------------- faults


def _killed(trials: Trials, times: int, beside: dict[str, Spread]) -> Iterator[Case]:
    """kill -9 of each rank in turn, the first one too; then the weights against no fault at all."""
    lost = []
    with patient(trials, SMALL) as run:
        for number in range(times):
            run.calm(range(RANKS), number % RANKS)
            lost.append(_kill(run, number % RANKS))
        run.calm(range(RANKS))
    yield from each("kill", lost, KILL_S, KILL_WORST_S, **beside)
    yield _same_weights(trials, run)


def _kill(run: Patient, victim: int) -> float:
    """Seconds beyond a step until the survivors' next one."""
    others = [rank for rank in range(RANKS) if rank != victim]
    before = run.lines(others[0], JUST_NOW_BYTES)[-1]
    usual_s, pid = run.step_s(others[0]), run.pid(victim)
    at = time.time()
    os.kill(pid, signal.SIGKILL)
    took_s = run.next_of(others, at, before) - at
    run.next_of([victim], at, before)
    return max(took_s - usual_s, 0.0)


def _same_weights(trials: Trials, hurt: Patient) -> Case:
    """As many steps by one rank that nothing happened to."""
    newest = checkpoints.choose(hurt.run.checkpoints, "last", "loss")
    whole = ["local.workers=1", "local.agents=1", f"train.steps={newest.step}"]
    alone = trials.train("job.toml", whole)
    ours, theirs = load_file(newest.path / "model.safetensors"), load_file(alone.run.export_file)
    apart = max(float((ours[name] - theirs[name]).abs().max()) for name in theirs)
    lives = sum(len(hurt.lives(rank)) for rank in range(RANKS))
    notes = {"steps": newest.step, "deaths": lives - RANKS}
    return Case("weights", apart, WEIGHTS, notes=notes)


def _frozen(trials: Trials, times: int) -> Iterator[Case]:
    """A machine stands still and comes back: what others lose, and when it takes part again."""
    noticed, back = [], []
    with patient(trials, SMALL) as run:
        for number in range(times):
            run.calm(range(RANKS))
            victim = number % RANKS
            others = [rank for rank in range(RANKS) if rank != victim]
            machine = turns.Side(run.run, run.processes(f"agent a{victim:02d}"))
            before = run.lines(others[0], JUST_NOW_BYTES)[-1]
            at = time.time()
            machine.freeze()
            try:
                noticed.append(run.next_of(others, at, before) - at)
                meanwhile = run.lines(others[0], JUST_NOW_BYTES)[-1]
            finally:
                machine.thaw()
            at = time.time()
            back.append(run.next_of([victim], at, meanwhile) - at)
    yield from each("freeze", noticed, FREEZE_S)
    yield from each("thaw", back, THAW_S)


def _headless(trials: Trials, times: int) -> Iterator[Case]:
    """The head is killed: what ranks lose, and when there is one again."""
    pauses, back = [], []
    with patient(trials, SMALL) as run:
        for _ in range(times):
            run.calm(range(RANKS))
            usual_s, at = run.step_s(0), time.time()
            kill_heads(run)
            back.append(run.until(lambda: _head_answers(run), "a head that answers") - at)
            time.sleep(LIVED_S + 1)  # one that dies sooner is started again later each time
            pauses.append(run.gap_s(0, at, at + 2) - usual_s)
    yield from each("head-pause", pauses, KILL_S)
    yield from each("head-back", back, HEAD_S)


def _taken_over(trials: Trials, times: int) -> Iterator[Case]:
    """The head's machine is lost: head, first agent, first rank."""
    lost, back = [], []
    for _ in range(times):
        with patient(trials, SMALL) as run:
            run.calm(range(RANKS))
            usual_s, before = run.step_s(1), run.lines(1, JUST_NOW_BYTES)[-1]
            at = time.time()
            kill_heads(run)
            for pid in run.processes("agent a00"):
                os.kill(pid, signal.SIGKILL)
            lost.append(max(run.next_of([1, 2], at, before) - at - usual_s, 0.0))
            back.append(run.until(lambda: _head_answers(run), "a head that answers") - at)
    yield from each("machine", lost, KILL_S, KILL_WORST_S)
    yield from each("takeover", back, TAKEOVER_S)


def kill_heads(run: Patient) -> None:
    """The one that was started first, or whichever an agent hosts by now."""
    for stat in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = stat.read_bytes().split(b"\0")
            environ = stat.with_name("environ").read_bytes()
            if b"evener.head" in words and str(run.run.path).encode() in environ:
                os.kill(int(stat.parent.name), signal.SIGKILL)


def _head_answers(run: Patient) -> float | None:
    handle = base.read_handle(run.run)
    assert handle is not None
    connection = http.client.HTTPConnection(*split_address(handle.head), timeout=1)
    try:
        connection.request("GET", "/v1/state", headers={"Authorization": f"Bearer {handle.secret}"})
        json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return time.time()


def _rejoined(trials: Trials, times: int) -> Iterator[Case]:
    """A model of ten million parameters: how long who trains waits for who comes back."""
    pauses = []
    with patient(trials, TEN_MILLION) as run:
        for number in range(times):
            victim = number % RANKS
            run.calm(range(RANKS), victim)
            witness = (victim + 1) % RANKS
            before, at = run.lines(witness, JUST_NOW_BYTES)[-1], time.time()
            os.kill(run.pid(victim), signal.SIGKILL)
            joined = run.next_of([victim], at, before)
            run.next_of([witness], joined, before)
            pauses.append(_pause_s(run, witness, victim))
    yield from each("rejoin", pauses, REJOIN_S)


def _pause_s(run: Patient, witness: int, victim: int) -> float:
    """Between the witness's last step without the one who came back, and its first one with it."""
    ballot = run.lives(victim)[-1].lines[0].ballot
    pairs = itertools.pairwise(run.lines(witness))
    return next(b.time - a.time for a, b in pairs if b.ballot == ballot != a.ballot)


def _stalled(trials: Trials, times: int) -> Iterator[Case]:
    """A checkpoint of ten million parameters and Adam's state: seconds that training loses by it,
    as a part of a minute."""
    every = [f"checkpoint.every_steps={2 * WRITE_STEPS}", "checkpoint.keep_last=1"]
    with patient(trials, TEN_MILLION, *every) as run:

        def enough() -> float | None:
            return 1.0 if len(_written(run)) > times else None

        run.until(enough, "enough checkpoints", look_s=2.0, patience_s=600)
        ended = {line.step: line.time for line in run.lines(0)}
        usual_s = statistics.median(b - a for a, b in itertools.pairwise(ended.values()))
        lost = [
            ended[step + WRITE_STEPS] - ended[step] - WRITE_STEPS * usual_s
            for step in (event.step for event in _written(run))
            if {step, step + WRITE_STEPS} <= {*ended}
        ]
    share = [100 * max(seconds, 0.0) / EVERY_S for seconds in lost]
    sides = {"s": harness.spread(lost)}
    yield Case("checkpoint", statistics.median(share), STALL_PER_CENT, "%", sides=sides)


def _written(run: Patient) -> list[CheckpointWritten]:
    return look(run.run).events(CheckpointWritten)


def _flipped(trials: Trials, times: int) -> Iterator[Case]:
    """One bit, anywhere in any file of a checkpoint."""
    with patient(trials, SMALL) as run:
        run.calm(range(RANKS))
    whole = checkpoints.choose(run.run.checkpoints, "last", "loss").path
    drawn, found, per_file = random.Random(7), 0, dict[str, int]()
    for number in range(times):
        copy = trials.folder / "flipped" / whole.name
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(whole, copy)
        file = sorted(copy.iterdir())[number % len(list(copy.iterdir()))]
        data = bytearray(file.read_bytes())
        data[drawn.randrange(len(data))] ^= 1 << drawn.randrange(8)
        file.write_bytes(data)
        per_file[file.name] = per_file.get(file.name, 0) + 1
        try:
            checkpoints.verify(copy)
        except CheckpointDamaged:
            found += 1
    yield Case("flips", 100 * found / times, 100.0, "%", at_most=False, notes=per_file)


def _torchrun(times: int) -> dict[str, Spread]:
    """The same loss under torchrun."""
    tuned = [elastic.lose_a_node(tuned=True) for _ in range(times)]
    plain = [elastic.lose_a_node(tuned=False) for _ in range(max(1, times // 4))]
    return {"torchrun tuned s": harness.spread(tuned), "torchrun s": harness.spread(plain)}


def measure(settings: Settings) -> Iterator[Case]:
    """By what is done together: who asks for one figure gets those that come of the same runs."""
    few, many = (2, 3) if settings.quick else (5, 20)
    flips = 20 if settings.quick else FLIPS
    with Trials() as trials:
        parts: dict[tuple[str, ...], Callable[[], Iterator[Case]]] = {
            ("kill", "kill-worst", "weights"): lambda: _killed(
                trials, many, {} if settings.quick else _torchrun(few)
            ),
            ("freeze", "thaw"): lambda: _frozen(trials, few if settings.quick else many),
            ("head-pause", "head-back"): lambda: _headless(trials, few),
            ("machine", "machine-worst", "takeover"): lambda: _taken_over(trials, few),
            ("rejoin",): lambda: _rejoined(trials, many),
            ("checkpoint",): lambda: _stalled(trials, few),
            ("flips",): lambda: _flipped(trials, flips),
        }
        for names, take in parts.items():
            if any(map(settings.wants, names)) and not (settings.quick and names[0] in LONG):
                yield from take()


if __name__ == "__main__":
    sys.exit(harness.main("faults", measure, __doc__, busy=harness.busy_share))
