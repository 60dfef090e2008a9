"""Scripts with ranks as threads of one process: the real interface and engine, without agents."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from evener.config.schema import Job
from evener.contract import LOOPBACK
from evener.engine.keeper import Keeper
from evener.engine.report import Reporter
from evener.engine.training import Training
from evener.orders import Done
from evener.rank.group import StoreHost
from evener.rundir.layout import RunDir
from evener.rundir.ledger import Ledger
from evener.training.run import Run
from tests.engine.rehearsal import Player, Stage, StageLink

Script = Callable[[Run], object]
_DRAWING = (
    threading.Lock()
)  # the generator is the process's: one thread draws its weights at a time


class StageSeat:
    """What an agent gives a rank, of the stage."""

    part = (0.0, 1.0)

    def __init__(self, player: ScriptPlayer, job: Job, run: RunDir) -> None:
        self.job, self._run, self._player = job, run, weakref.proxy(player)
        self.rank, self.store_port = player.rank, player.store.port
        self.device = torch.device("cpu")
        self.link: Any = player.link
        self.reporter = Reporter(player.rank, 0, 3600.0, player.link.say)
        self.done: Done | None = None
        self.left: Callable[[], Done] | None = None
        self.told: list[str] = []

    def keeper(self, job: Job) -> Keeper:
        return Keeper(self._run, job.checkpoint, self.reporter.emit)

    def ledger(self) -> Ledger:
        return Ledger(self._run.ledger(self.rank), self.told.append)

    def built(self, training: Training) -> None:
        self._player.training = training

    def finished(self, done: Done) -> None:
        self.done = done
        self.reporter.flush(done.step)

    def leave(self, end: Callable[[], Done]) -> None:
        self.left = end

    def tell(self, text: str) -> None:
        self.told.append(text)


class ScriptPlayer(Player):
    """One rank that runs a script."""

    def __init__(self, script: Script, job: Job, rank: int, run: RunDir) -> None:
        self.rank, self.link, self.store = rank, StageLink(), StoreHost(LOOPBACK)
        self.seat = StageSeat(self, job, run)
        self.script = script
        self.done: Done | None = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def work(self) -> Done:
        seat: Any = self.seat
        self.script(Run(seat, self.seat.job))
        if self.seat.done is None and self.seat.left is not None:
            self.seat.left()
        assert self.seat.done is not None
        self.training.keeper.wait()
        return self.seat.done


def job(**tables: Any) -> Job:
    """Of a script, with what is said in [train] and elsewhere."""
    own = {"name": "script"}
    script = {"path": "train.py", "kind": "training"}
    base: dict[str, Any] = {"model": own, "data": own, "train": {}, "script": script}
    base |= {"checkpoint": {"every_s": 3600.0}, "balance": {"policy": "equal"}}
    return Job.model_validate(base | tables)


def staged(script: Script, folder: Path, ranks: int, **tables: Any) -> Stage:
    """To be used in a `with`."""

    def make(job: Job, rank: int, run: RunDir, _: str) -> Player:
        return ScriptPlayer(script, job, rank, run)

    return Stage(job(**tables), folder, ranks, make)


def seeded(run: Run, build: Callable[[], Any]) -> Any:
    """What every process would draw after `start`."""
    with _DRAWING:
        torch.manual_seed(run.seed)
        return build()


def train(script: Script, folder: Path, ranks: int, **tables: Any) -> Stage:
    """From beginning to end, undisturbed."""
    with staged(script, folder, ranks, **tables) as stage:
        stage.form(stage.players)
        stage.finish(stage.players)
    return stage
