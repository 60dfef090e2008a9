"""Whole trainings with ranks as threads of one process: the real engine, without agents.

A `Stage` plays the agent: it forms generations of the ranks that are told to take part, and may
pause, break or stop them, at a step of its choosing.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from evener import orders
from evener.config.schema import Job
from evener.contract import LOOPBACK
from evener.engine import loop
from evener.engine.__main__ import build
from evener.engine.report import Reporter
from evener.engine.training import Training
from evener.membership.generation import Ballot, Generation, Member
from evener.orders import Done, Order, Take
from evener.rank.group import Group, StoreHost
from evener.rank.pulse import Pulse
from evener.rundir.layout import RunDir


class StageLink:
    """What a rank sees of its agent."""

    def __init__(self) -> None:
        self.forms: queue.SimpleQueue[Generation | None] = queue.SimpleQueue()
        self.said: list[Order] = []
        self.halt_asked = False
        self.stop_asked: str | None = None
        self.save_asked = False
        self.breaker: Callable[[], None] = lambda: None
        self.standing: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.groups: list[Group] = []
        self.on_broken: Callable[[Ballot], None] = lambda _: None
        self.on_recall: Callable[[tuple[int, ...]], None] = lambda _: None
        self.parked = False
        self.pulse = Pulse()
        self._waits = False  # the stage knows that it stands
        self._formed = Ballot(0, "")

    def saved(self) -> None:
        self.save_asked = False

    def say(self, order: Order) -> None:
        orders.from_dict(orders.to_dict(order))  # everything said must survive the wire
        self.said.append(order)
        if isinstance(order, orders.Broken):
            self.on_broken(order.ballot)
        elif isinstance(order, orders.Recall):
            self.on_recall(order.ranks)

    def await_form(self, step: int, patience_s: float | None = None) -> Generation | None:
        if not self._waits:
            self._waits = True
            self.standing.put(step)
        try:
            generation = self.forms.get(timeout=120 if patience_s is None else patience_s)
        except queue.Empty:
            raise TimeoutError("the stage forms no generation") from None
        self._waits = False
        if generation is not None:
            self._formed = generation.ballot
        return generation

    def stand_aside(self) -> None:
        self.parked = True
        self.say(orders.Parked(self._formed))

    def return_to_work(self) -> None:
        self.parked = False
        self.say(orders.Unparked())

    def on_break(self, breaker: Callable[[], None]) -> None:
        """A rank that closes its group shuts its process's sockets; here all ranks share one.

        So closing is put off until the stage knows that nobody else is still in the group.
        """
        self.breaker = breaker
        group: Group = breaker.__self__  # type: ignore[attr-defined]  # a bound method
        group.close = lambda: None  # type: ignore[method-assign]
        self.groups.append(group)

    def leave_groups(self) -> None:
        for group in self.groups:
            Group.close(group)
        self.groups.clear()

    def events(self, kind: str) -> list[dict[str, Any]]:
        reports = [o for o in self.said if isinstance(o, orders.Report)]
        return [e for r in reports for e in r.events if e["kind"] == kind]


class Player:
    """One rank on its thread."""

    def __init__(self, job: Job, rank: int, run: RunDir, device: str = "cpu") -> None:
        self.rank = rank
        self.link = StageLink()
        self.store = StoreHost(LOOPBACK)
        take = Take(rank=rank, life=0, threads=1, device=device)
        reporter = Reporter(rank, 0, 3600.0, self.link.say)
        link: Any = self.link  # has of a Link what training uses
        self.training: Training = build(job, take, link, self.store.port, run, reporter)
        self.done: Done | None = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def work(self) -> Done:
        done = loop.run(self.training)
        self.training.keeper.wait()
        self.training.reporter.flush(done.step)
        return done

    def _run(self) -> None:
        try:
            self.done = self.work()
        except BaseException as error:  # noqa: BLE001  (join raises it)
            self.error = error

    def join(self) -> None:
        self._thread.join(120)
        assert not self._thread.is_alive(), "a rank hangs"
        if self.error is not None:
            raise self.error

    def weights(self) -> dict[str, Any]:
        return {k: v.detach().clone() for k, v in self.training.worker.model.state_dict().items()}


class Stage:
    """Plays the agent for `ranks` ranks of `job` (or one per device); use it in a `with`."""

    def __init__(
        self,
        job: Job,
        folder: Path,
        ranks: int | Sequence[str],
        make: Callable[..., Player] = Player,
    ) -> None:
        self.job = job
        self.run = RunDir(folder)
        self.run.create()
        devices = ["cpu"] * ranks if isinstance(ranks, int) else ranks
        self.players = [make(job, i, self.run, d) for i, d in enumerate(devices)]
        self._number = 0
        for player in self.players:
            player.link.on_broken = self._break
            player.link.on_recall = self._recall

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        for player in self.players:
            player.link.forms.put(None)
            player.link.stop_asked = "the test is over"
            player.link.breaker()
            player._thread.join(30)
            player.training.ledger.close()
            player.link.leave_groups()

    def form(self, players: Sequence[Player]) -> Generation:
        """Wait for all of them to stand, then let them form a generation; without those that are
        parked, unless all are."""
        standing = {p.rank: p.link.standing.get(timeout=120) for p in players}
        chosen = [p for p in players if not p.link.parked] or list(players)
        aside = [p for p in players if p not in chosen]
        self._number += 1
        steps = [standing[p.rank] for p in chosen]
        generation = Generation(
            Ballot(self._number, "a00"),
            tuple(map(_member, chosen)),
            max(steps),
            steps.index(max(steps)),
            tuple(map(_member, aside)),
        )
        for player in players:
            player.link.leave_groups()
            player.link.halt_asked = False
        for player in aside:
            player.link.standing.put(standing[player.rank])  # and stands on
        for player in chosen:
            player.link.parked = False
            player.link.forms.put(generation)
        return generation

    def _break(self, ballot: Ballot) -> None:
        """One rank's group broke: everybody is told, as a new ballot would tell them."""
        for player in self.players:
            for group in list(player.link.groups):
                if group.generation.ballot == ballot and not group._broken.is_set():
                    group.break_up()

    def _recall(self, ranks: Collection[int]) -> None:
        """The next generation is to have these again."""
        for player in self.players:
            player.link.parked = player.link.parked and player.rank not in ranks

    def finish(self, players: Sequence[Player]) -> list[Done]:
        for player in players:
            player.join()
        return [p.done for p in players if p.done is not None]


def _member(player: Player) -> Member:
    return Member("a00", player.rank, 0, LOOPBACK, player.store.port)


def job(**tables: Any) -> Job:
    """A small regression in fp64, unless told otherwise."""
    base: dict[str, Any] = {
        "model": {"name": "mlp", "hidden": [16]},
        "data": {"name": "synthetic_regression", "samples": 100, "validation_samples": 30,
                 "features": 5},
        "train": {"global_batch": 24, "steps": 12, "lr": 0.01, "precision": "fp64"},
        "balance": {"policy": "equal"},
        "checkpoint": {"every_s": 3600.0},
    }  # fmt: skip
    for name, table in tables.items():
        replaced = "name" in table or name not in base
        base[name] = table if replaced else {**base[name], **table}
    return Job.model_validate(base)
