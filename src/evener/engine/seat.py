"""Where a script trains: the place that its agent gave this process, until the script takes it.

The process runs the script in place of a task. `evener.training.start` takes the seat, and what the
script trains it trains from there: numbered, ended and blamed like every other rank.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import torch

from evener import usercode
from evener.config.schema import Job
from evener.engine import memory
from evener.engine.keeper import Keeper
from evener.engine.report import Reporter
from evener.engine.training import Training
from evener.errors import CodeRaised, EvenerError, OutOfMemory, ScriptMistaken
from evener.events import Alert, RankBuilt
from evener.orders import Afterwards, Built, Done, Take
from evener.rank import vitals
from evener.rank.device import open_device
from evener.rank.link import Link
from evener.rundir import measured
from evener.rundir.layout import RunDir
from evener.rundir.ledger import Ledger

_taken: list[Seat] = []  # of this process; a script has no other way to find it


def current() -> Seat | None:
    """The seat of this process, if an agent has started it."""
    return _taken[0] if _taken else None


@dataclass(slots=True)
class Seat:
    """One rank's, with all that a training needs besides model and data."""

    job: Job
    link: Link
    store_port: int
    run: RunDir
    numbered: Callable[[Take], None]  # told of the number as soon as there is one
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    done: Done | None = None
    left: Callable[[], Done] | None = None  # ends what the script broke off
    _take: Take | None = None
    _reporter: Reporter | None = None
    _training: Training | None = None
    _open: ExitStack = field(default_factory=ExitStack)

    def take(self) -> None:
        """Wait until there is a number to take: a standby has run so far, and no further."""
        if self._take is not None:
            return
        self._take = take = self.link.await_take()
        self.numbered(take)
        self._reporter = Reporter(take.rank, take.life, self.job.log.every_s, self.link.say)
        self.device = open_device(take.device, take.threads)

    @property
    def rank(self) -> int:
        return self._numbered().rank

    @property
    def part(self) -> tuple[float, float]:
        return self._numbered().part

    @property
    def reporter(self) -> Reporter:
        assert self._reporter is not None, "taken before"
        return self._reporter

    def keeper(self, job: Job) -> Keeper:
        return Keeper(self.run, job.checkpoint, self.reporter.emit)

    def ledger(self) -> Ledger:
        def tell(text: str) -> None:
            self.reporter.emit(Alert("warning", text, self.rank))

        return Ledger(self.run.ledger(self.rank), tell)

    def built(self, training: Training) -> None:
        """Model and data are there: from now on the rank may be made a member."""
        take, self._training = self._numbered(), training
        training.profiled.update(measured.speeds_of(self.run))
        parameters = sum(p.numel() for p in training.worker.model.parameters())
        self.reporter.emit(RankBuilt(take.rank, take.device, take.threads, parameters))
        self.reporter.flush(training.worker.progress.step)
        self.reporter.look = self._open.enter_context(vitals.of_this_process(take.device)).look
        self.link.say(Built(take.rank, take.device, training.job.train.global_batch))

    def finished(self, done: Done) -> None:
        """The loop is over. What the script does afterwards is its own affair, and no hanging."""
        self.done = done
        self._go_on()
        self.reporter.flush(done.step)

    def leave(self, end: Callable[[], Done]) -> None:
        """The script broke off its loop: it is over if the script ends well, and else has failed,
        which nobody knows yet."""
        self.left = end
        self._go_on()

    def _go_on(self) -> None:
        self._open.enter_context(self.link.pulse.rest())
        self.link.say(Afterwards())

    def tell(self, text: str) -> None:
        self.reporter.emit(Alert("warning", text, self.rank))

    def _numbered(self) -> Take:
        assert self._take is not None, "taken before"
        return self._take

    def _run_script(self) -> None:
        """Paths of a run in containers start from the folder of its job file."""
        script, here = self.job.script, self.run.configs
        path, folder = (os.path.normpath(here / each) for each in (script.path, script.folder))
        usercode.run_script(Path(path), script.args, Path(folder))

    def run_script(self) -> None:
        """All of the script, and the word that its work is done. Raises what it ended with."""
        _taken.append(self)
        try:
            self._run_script()
            if self.done is None:
                self.done = self.left() if self.left else None
            if self.done is None:
                raise _without_a_loop(self.job)
        except BaseException as error:
            traceback.print_exc()
            self.take()  # who has no number yet cannot say why it failed
            if (meant := _meant(error)) is not None:
                raise meant from error
            raise
        if self._training is not None:
            self._training.keeper.wait()
            self._training.ledger.close()
        self._open.close()
        self.reporter.flush(self.done.step)
        self.link.say(self.done)


def _meant(error: BaseException) -> EvenerError | None:
    """What a script raised for want of memory, in our words."""
    if not isinstance(error, CodeRaised) or not memory.is_full(error):
        return None
    return OutOfMemory(
        memory.first_line(error.__cause__ or error),
        where=error.where,
        fix="set train.micro_batch: a share then goes through the model in pieces of that size",
    )


def _without_a_loop(job: Job) -> EvenerError:
    return ScriptMistaken(
        "the script ended, and trained nothing",
        where=job.script.path,
        fix="loop over run.batches(...) of evener.training, to its end",
    )
