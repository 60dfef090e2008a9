"""A script run by plain `python`: one process, no agent, no folder; the same engine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from evener import orders
from evener.checkpoint import Snapshot
from evener.config.schema import Job
from evener.config.script import NAME
from evener.engine.keeper import Keeper
from evener.engine.report import Reporter
from evener.engine.training import Training
from evener.engine.worker import Worker
from evener.membership.generation import Ballot, Generation, Member
from evener.orders import Done, Order
from evener.rank.device import open_device
from evener.rank.pulse import Pulse
from evener.rundir.layout import RunDir
from evener.rundir.ledger import Ledger


@dataclass(slots=True)
class NoAgent:
    """Nobody to wait for, and nobody who asks for anything."""

    pulse: Pulse = field(default_factory=Pulse)
    halt_asked: bool = False
    stop_asked: str | None = None
    save_asked: bool = False

    def say(self, order: Order) -> None:
        """What a record would hold is told here, as far as the script does not know it itself."""
        for record in order.events if isinstance(order, orders.Report) else ():
            if record["kind"] == "Validated":
                known = {"loss": record["loss"], **record["metrics"]}
                shown = ", ".join(f"{name} {value:.4g}" for name, value in known.items())
                _print(f"validation after step {record['step']}: {shown}")
            elif record["kind"] == "Alert" and record["level"] != "note" and record["rank"] is None:
                _print(f"{record['level']}: {record['text']}")

    def await_form(self, step: int, patience_s: float | None = None) -> Generation | None:
        return Generation(Ballot(1, "a00"), (Member("a00", 0, 0, "", 0),), step, 0)

    def stand_aside(self) -> None:
        """It has nobody to stand beside."""

    def return_to_work(self) -> None:
        """It never leaves it."""

    def on_break(self, breaker: object) -> None:
        """A group of one does not break."""

    def saved(self) -> None:
        """Nobody has asked."""


class NoKeeper(Keeper):
    """Without a run's folder there is nowhere to keep anything: the script saves what it wants."""

    def newest(self) -> Snapshot | None:
        return None

    @property
    def newest_step(self) -> int:
        return -1

    def save(self, snapshot: Snapshot, metric: float | None, best: bool) -> None:
        return

    def export(self, worker: Worker) -> None:
        return


class AloneSeat:
    """What `engine.seat.Seat` is for a rank, without an agent."""

    rank, part, store_port = 0, (0.0, 1.0), 0

    def __init__(self) -> None:
        script = {"path": str(Path(sys.argv[0]).absolute()), "kind": "training"}
        own = {"name": NAME}
        self.job = Job.model_validate({"model": own, "data": own, "train": {}, "script": script})
        self.device = torch.device("cpu")
        self.link = NoAgent()
        self.reporter = Reporter(0, 0, self.job.log.every_s, self.link.say)
        self.done: Done | None = None
        self.left: Callable[[], Done] | None = None

    def take(self) -> None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
        name = "mps" if torch.backends.mps.is_available() else name
        self.device = open_device(name, torch.get_num_threads())

    def keeper(self, job: Job) -> Keeper:
        return NoKeeper(RunDir(Path()), job.checkpoint, self.reporter.emit)

    def ledger(self) -> Ledger:
        ledger = Ledger(Path(), _print)
        ledger.close()
        return ledger

    def built(self, training: Training) -> None:
        """Nobody waits for it."""

    def finished(self, done: Done) -> None:
        self.done = done
        self.reporter.flush(done.step)

    def leave(self, end: Callable[[], Done]) -> None:
        self.left = end

    def tell(self, text: str) -> None:
        _print(f"warning: {text}")


def _print(text: str) -> None:
    sys.stderr.write(f"evener: {text}\n")
