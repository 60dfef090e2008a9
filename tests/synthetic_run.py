"""A run that never was: the events of a training in which a rank dies and comes back, and a
launcher that starts nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evener import events
from evener.events import Event, Record
from evener.launch.base import Command, Handle, HeadPlace, Rendered
from evener.placement import Plan
from evener.rundir.layout import RunDir
from evener.rundir.store import Store

TEXT = "ROMEO:\nWhat light is this that breaks upon the wall,\nAnd makes the night so thin?\n"


@dataclass(frozen=True)
class Script:
    """What happens; steps are made `step_s` apart."""

    run: str = "demo"
    steps: int = 400
    ranks: int = 3
    step_s: float = 0.1
    begin: float = 1_700_000_000.0
    validate_every: int = 100
    checkpoint_every: int = 50
    lost_at: int = 120
    outcome: str = "finished"
    error: dict[str, Any] | None = None
    batch: int = 96


def records(script: Script) -> Iterator[Record]:
    """In the order in which the store would take them; times as if they had been lived through."""
    for number, (time, event) in enumerate(_story(script)):
        yield Record(event, script.begin + time, "synthetic", number + 1)


def _story(s: Script) -> Iterator[tuple[float, Event]]:
    yield 0.0, started(s)
    machine = {"name": "desk", "cpus": 8.0, "memory_bytes": 16 * 10**9, "devices": []}
    yield 0.4, events.MachineSeen("a00", machine)
    yield 0.9, events.DataPrepared("a00", 50_000, 5_000, 0.5)
    for rank in range(s.ranks):
        yield 1.0 + rank / 10, events.RankStarted("a00", rank, 0, 4000 + rank)
    for rank in range(s.ranks):
        device = "cuda:0" if rank == 0 else "cpu"
        yield 2.0 + rank / 10, events.RankBuilt(rank, device, 2, 812_345)
    everyone = tuple(range(s.ranks))
    yield 2.5, events.GenerationFormed(1, everyone, 0, 0, s.steps, s.steps // 4)
    now, members, generation = 2.5, everyone, 1
    for step in range(1, s.steps + 1):
        now += s.step_s
        yield now, committed(s, step, generation)
        yield from ((now, timed(s, rank, step, members)) for rank in members)
        if step == 16:
            yield now, events.SharesChanged(step + 1, members, shares(s, members), "own speeds")
        if step % 20 == 16 and s.ranks > 1:
            yield now, fitted(s, members, step)
        if step % 20 == 18:
            yield now, loaded(step)
        if step == s.lost_at and s.ranks > 1:
            yield now, events.RankLost("a00", s.ranks - 1, "killed by signal 9")
            members, generation = everyone[:-1], 2
            yield now + 0.1, formed(s, members, step, generation)
        if step == s.lost_at + 40 and s.ranks > 1:
            yield now, events.RankStarted("a00", s.ranks - 1, 1, 4711)
            yield now, events.RankBuilt(s.ranks - 1, "cpu", 2, 812_345)
            members, generation = everyone, 3
            yield now + 0.1, formed(s, members, step, generation)
        yield from _marks(s, step, now)
    yield now + 0.5, events.Exported("model.safetensors", 3_250_000)
    yield now + 0.6, events.RunEnded(s.outcome, s.steps, "", s.error)
    yield now + 0.7, events.AgentEnded("a00")


def _marks(s: Script, step: int, now: float) -> Iterator[tuple[float, Event]]:
    if step % s.validate_every == 0:
        loss = _loss(step, s.steps) + 0.08 + (0.05 if step == s.steps else 0.0)
        best = step != s.steps
        metrics = {"perplexity": math.exp(loss)}
        yield now, events.Validated(step, step * 4 // s.steps, loss, 5000, metrics, 0.4, best)
        yield now, events.TextSampled(step, "ROMEO:", TEXT.removeprefix("ROMEO:"))
    if step % s.checkpoint_every == 0:
        best = step % s.validate_every == 0 and step != s.steps
        path = f"checkpoints/step_{step:08d}"
        yield now, events.CheckpointWritten(step, path, 9_800_000, 0.12, best, None)


def started(s: Script, *, resumed: bool = False) -> events.RunStarted:
    return events.RunStarted(
        run=s.run, job=s.run, model="gpt", data="text", ranks=s.ranks, agents=1,
        global_batch=s.batch, resumed=resumed, place="local",
    )  # fmt: skip


def committed(s: Script, step: int, generation: int) -> events.StepCommitted:
    return events.StepCommitted(
        step=step, epoch=(step - 1) * 4 // s.steps, cursor=step * s.batch,
        loss=_loss(step, s.steps), count=s.batch * 64.0, samples=s.batch,
        lr=1e-3 * (1 - step / s.steps), grad_norm=0.8 + 0.1 * math.sin(step), seconds=s.step_s,
        generation=generation, metrics={}, skipped=step == 7,
    )  # fmt: skip


def formed(
    s: Script, members: tuple[int, ...], step: int, generation: int
) -> events.GenerationFormed:
    return events.GenerationFormed(generation, members, step, 0, s.steps, s.steps // 4)


def timed(s: Script, rank: int, step: int, members: tuple[int, ...]) -> events.RankTimed:
    busy = s.step_s * (0.4 if rank == 0 else 0.7)
    return events.RankTimed(
        rank=rank, step=step, steps=1, share=shares(s, members)[members.index(rank)],
        samples_per_s=2310.0 if rank == 0 else 118.5 + rank, data_s=busy * 0.05,
        forward_s=busy * 0.33, backward_s=busy * 0.55, exchange_s=s.step_s * 0.2,
        optimizer_s=busy * 0.07, step_s=s.step_s, memory_bytes=612_000_000 + rank * 10**6,
        hidden_s=busy * 0.1, wait_s=s.step_s * 0.75 - busy, predicted_s=busy,
    )  # fmt: skip


def fitted(s: Script, members: tuple[int, ...], step: int) -> events.SpeedsFitted:
    return events.SpeedsFitted(
        step=step, ranks=members, shares=shares(s, members), fixed_s=(0.004,) * len(members),
        per_sample_s=(0.0005,) * len(members), samples_per_s=s.batch / s.step_s,
        alone_samples_per_s=1.06 * s.batch / s.step_s,
        possible_samples_per_s=1.02 * s.batch / s.step_s,
    )  # fmt: skip


def loaded(step: int) -> events.MachineLoad:
    gpu = {
        "name": "NVIDIA GeForce RTX 4070", "busy_share": 0.87, "memory_bytes": 3_400_000_000,
        "memory_limit_bytes": 12_878_610_432, "temperature_c": 64.0, "power_w": 171.3,
        "power_limit_w": 200.0,
    }  # fmt: skip
    return events.MachineLoad(
        agent="a00", cpu_share=0.8 + 0.1 * math.sin(step), memory_bytes=9_200_000_000,
        memory_limit_bytes=16_000_000_000, disk_read_bytes_per_s=0.0,
        disk_write_bytes_per_s=1_250_000.0, sent_bytes_per_s=48_000.0,
        received_bytes_per_s=51_000.0, temperature_c=71.5, gpus={"GPU-5a1e": gpu},
    )  # fmt: skip


def shares(s: Script, members: tuple[int, ...]) -> tuple[int, ...]:
    small = s.batch // 8
    return (s.batch - small * (len(members) - 1), *[small] * (len(members) - 1))


def _loss(step: int, steps: int) -> float:
    return 1.5 + 2.7 * math.exp(-5 * step / steps) + 0.05 * math.sin(step * 1.7)


def run_with(root: Path, told: Iterator[Record] | list[Record], name: str = "demo") -> RunDir:
    """A run's folder with these records in it."""
    run = RunDir(root / name)
    run.create()
    run.job_file.write_text("{}")
    with Store.open(run.db, write=True) as store:
        store.append(told)
    return run


@dataclass
class FakeLauncher:
    """Keeps what it is asked. `living` answers `alive` in turn; its last answer stays."""

    living: list[bool] = field(default_factory=lambda: [False])
    stops: list[bool] = field(default_factory=list)
    started: list[Rendered] = field(default_factory=list)
    failure: BaseException | None = None
    vanished_s: float = 3.0
    heads: list[HeadPlace] = field(default_factory=list)  # where it says the head is, in turn

    def render(self, plan: Plan, run: RunDir) -> Rendered:
        env = {"EVENER_RUN_DIR": str(run.path), "EVENER_SECRET": "***"}
        commands = [
            Command(f"agent {a.agent}", ("python", "-m", "evener.agent"), env, run.logs / "a.log")
            for a in plan.agents
        ]
        return Rendered(run, tuple(commands))

    def provide(self) -> None:
        """There is nothing to bring."""

    def start(self, rendered: Rendered) -> Handle:
        if self.failure is not None:
            raise self.failure
        self.started.append(rendered)
        return Handle("local", "127.0.0.1:1", "secret", ())

    def stop(self, run: RunDir, *, now: bool) -> None:
        self.stops.append(now)

    def head(self, run: RunDir) -> HeadPlace | None:
        return self.heads.pop(0) if self.heads else None

    def clean(self, run: RunDir) -> None:
        """It has started nothing."""

    def alive(self, run: RunDir) -> bool:
        return self.living.pop(0) if len(self.living) > 1 else self.living[0]
