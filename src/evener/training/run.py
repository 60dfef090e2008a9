"""The interface of a script: it asks for batches, and answers each with its loss.

Control is inverted: `engine.loop` asks for the loss of one piece of samples after another, and the
script's own loop is what answers. A generation may break and form anew between two of them, or in
the middle of a step: the script sees its loop go on, perhaps with the same samples cut otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar, overload

import torch
from torch import Tensor
from torch.optim import Optimizer

from evener import usercode
from evener.config.schema import Job
from evener.data.order import Order, Ordering
from evener.data.sources import Source, Sources
from evener.engine import loop
from evener.engine.kept import Stateful
from evener.engine.seat import Seat
from evener.engine.task import Loss, Moved, Piece, Work, move
from evener.engine.training import Training
from evener.errors import DataTooSmall
from evener.orders import Done
from evener.training import checks, draws, figures
from evener.training.alone import AloneSeat
from evener.training.feed import Collate, Terms, is_stream, samples_of
from evener.training.figures import Exam, Figures
from evener.training.parts import Parts, wrong
from evener.training.passage import passage_of

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
_AFTER = "call it in the loop over run.batches(...), once for each batch"


class Run:
    """One training, as its script sees it. `training.start()` makes it."""

    def __init__(self, seat: Seat | AloneSeat, job: Job) -> None:
        self._seat, self._job = seat, job
        self._parts = Parts()
        self._figures = Figures(seat.tell)
        self._exam: tuple[Source, Exam] | None = None
        self._training: Training | None = None
        self._work: Work[Done] | None = None
        self._piece: Piece | None = None  # what the loop body works on
        self._next: Piece | Moved | None = None  # what the engine has asked for since
        self._answers = 0  # of the loop body
        self._within = False  # the engine's own work
        self._backward: tuple[float, float] | None = None  # sum and count, differentiated before
        self._drawn = 0

    # ------------------------------------------------------------------------- before the loop

    @property
    def device(self) -> torch.device:
        """What this rank computes on. Models and batches are moved there for you."""
        return self._seat.device

    @property
    def seed(self) -> int:
        """Of the training: weights, order and draws follow from it."""
        return self._job.train.seed

    @overload
    def prepare(self, first: A, /, *, clip_norm: float | None = None) -> A: ...

    @overload
    def prepare(self, first: A, second: B, /, *, clip_norm: float | None = None) -> tuple[A, B]: ...

    @overload
    def prepare(
        self, first: A, second: B, third: C, /, *, clip_norm: float | None = None
    ) -> tuple[A, B, C]: ...

    @overload
    def prepare(
        self, first: Any, second: Any, third: Any, /, *more: Any, clip_norm: float | None = None
    ) -> tuple[Any, ...]: ...

    def prepare(self, *things: Any, clip_norm: float | None = None) -> Any:
        """Hand over models, optimizers and schedulers; returns the same objects, models moved.

        Several models and several optimizers may be given. Schedulers are stepped once for each
        step of the training, on all ranks alike, and not by the script. `clip_norm` clips the norm
        of the whole gradient of each optimizer, once all ranks' are added up.
        """
        self._not_yet("run.prepare")
        self._job = checks.clipped(self._job, clip_norm)
        for thing in things:
            self._parts.add(thing, self.device)
            if isinstance(thing, Optimizer):
                checks.guard(thing, lambda: self._within)
        return things[0] if len(things) == 1 else things

    def keep(self, name: str, thing: A) -> A:
        """Make `thing` a part of the state: saved, restored, and given to ranks that join.

        It has `state_dict` and `load_state_dict`. Change it only where `run.step` was true.
        """
        self._not_yet("run.keep")
        if not isinstance(thing, Stateful):
            raise wrong(
                f"run.keep was given a {type(thing).__name__}",
                "give it something with state_dict() and load_state_dict(state)",
            )
        self._parts.kept[name] = thing
        return thing

    def evaluate(
        self,
        dataset: Any,
        function: Callable[[Any], Any],
        *,
        metrics: tuple[str, ...] = (),
        collate: Collate | None = None,
    ) -> None:
        """Have `function(batch)` measure every sample of `dataset` once, shared among the ranks.

        It returns `(loss_sum, count)`, or `(loss_sum, count, {name: sum})` with the names listed in
        `metrics`. When that is due the job's [validation] says: after every epoch, if it does not.
        It runs without gradients and with the models in eval mode. Its outcome chooses the best
        checkpoint, and may end the training early ([early_stopping]).
        """
        self._not_yet("run.evaluate")
        self._exam = samples_of(dataset, collate, "run.evaluate"), Exam(function, metrics)

    # --------------------------------------------------------------------------------- the loop

    def batches(
        self,
        dataset: Any,
        *,
        global_batch: int | None = None,
        epochs: int | None = None,
        steps: int | None = None,
        shuffle: bool = True,
        collate: Collate | None = None,
        workers: int | None = None,
    ) -> Iterator[Any]:
        """This rank's samples, batch after batch, until all epochs or steps are done.

        A step takes `global_batch` samples, whoever computes which of them; the last one of an
        epoch takes what is left. Data that have no length are read by every rank from their
        beginning on, in their own order. A batch holds this rank's share of a step, or a piece of
        it where memory or batch normalisation want pieces. Give `epochs` or `steps`; what the job
        says in [train] goes before what is given here. `workers` processes load ahead.
        """
        self._not_yet("run.batches")
        self._job = checks.decided(self._job, global_batch, epochs, steps, workers)
        self._training = self._built(*self._opened(dataset, collate, shuffle))
        self._work = loop.work(self._training)
        self._seat.built(self._training)
        return self._loop()

    def step(
        self,
        loss: Tensor | None = None,
        count: float | None = None,
        *,
        optimizer: Optimizer | None = None,
    ) -> bool:
        """Answer the batch: `loss` is the sum over its samples, `count` how many were summed.

        Gradients and counts of all ranks are added up, and the optimizer moves by sum over count.
        True where it has: on every rank alike, once for each step. False for a piece with others to
        come, and where a rank was lost meanwhile: then the batch comes again. With several
        optimizers say which; each is stepped in turn. After `run.backward` leave both out.
        """
        place = self._place(optimizer)
        answer = self._answer(loss, count, place)
        if answer is None:
            return False
        self._answers += 1
        asked = self._advance(answer)
        self._drawn = 0 if not isinstance(asked, Moved) else self._drawn
        self._next = asked
        return isinstance(asked, Moved) and asked.committed

    def backward(self, loss: Tensor, count: float) -> None:
        """Differentiate a part of the batch's loss now; `run.step()` then takes all parts in."""
        self._in_loop("run.backward")
        self._checked(loss, count, "run.backward")
        total, counted = self._backward or (0.0, 0.0)
        loss.backward()
        self._backward = total + float(loss.detach()), counted + float(count)

    def log(self, **values: Any) -> None:
        """Numbers for the charts: means over this batch, averaged by count over pieces and ranks.

        Call it before `run.step`, for every batch alike.
        """
        self._in_loop("run.log")
        self._figures.log(values)

    def randn(self, *shape: int) -> Tensor:
        """Normal numbers, `shape` for each sample of this batch: the same whoever computes it.

        They follow from the seed, the step and the samples' places in it, so that a training that
        draws noise is exact as well.
        """
        piece = self._in_loop("run.randn")
        self._drawn += 1
        key = (self.seed, piece.step, self._drawn)
        return draws.normal(key, piece.start, piece.samples, piece.whole, shape).to(self.device)

    # ------------------------------------------------------------------ what there is to know

    @property
    def step_number(self) -> int:
        """Steps that are committed."""
        return self._training.worker.progress.step if self._training else 0

    @property
    def epoch(self) -> int:
        """Of the batch that the loop works on, from 0."""
        return self._piece.epoch if self._piece else 0

    @property
    def samples(self) -> int:
        """In the batch that the loop works on."""
        return self._piece.samples if self._piece else 0

    @property
    def is_lead(self) -> bool:
        """Whether this rank is the one to write files, after the loop as well as in it."""
        training = self._training
        return training is None or training.last_lead in (-1, training.rank)

    @property
    def finished(self) -> bool:
        """After the loop: whether all steps are done. False where the run was stopped before."""
        done = self._seat.done
        return self._seat.left is not None if done is None else done.outcome == "finished"

    # ------------------------------------------------------------------------------- inside

    def _loop(self) -> Iterator[Any]:
        self._next = self._advance(None)
        try:
            while self._next is not None:
                if isinstance(self._next, Moved):
                    self._next = self._advance(None)
                    continue
                self._piece, self._next = self._next, None
                self._answers, self._drawn, self._backward = 0, 0, None
                yield move(self._piece.batch, self.device, None)
                if self._next is None:
                    raise self._unanswered()
        except GeneratorExit:  # `break`, or an exception in the loop's body
            assert self._work is not None
            self._work.close()
            if self._seat.done is None:
                self._seat.leave(self._ended_early)
            raise
        finally:
            self._piece = None

    def _advance(self, answer: Loss | None) -> Piece | Moved | None:
        """What the engine asks next; None once the run is over."""
        assert self._work is not None
        self._within = True
        try:
            return self._work.send(answer)
        except StopIteration as end:
            self._seat.finished(end.value)
            return None
        finally:
            self._within = False

    def _answer(self, loss: Tensor | None, count: float | None, place: int) -> Loss | None:
        """The loss as the engine takes it; None where it does not want one any more."""
        self._in_loop("run.step")
        lost = self._answers > 0 and not isinstance(self._next, Moved)
        if lost:
            return None
        if self._answers and len(self._parts.optimizers) == 1:
            raise wrong("run.step was called twice for one batch", _AFTER)
        if loss is None or count is None:
            if self._backward is None:
                raise wrong(
                    "run.step was called without a loss and its count",
                    "run.step(loss_sum, count), or run.backward(...) for the parts before",
                )
            total, counted = self._backward
            self._backward = None
            loss = torch.tensor(total, dtype=torch.float64)
            return Loss(loss, counted, self._figures.taken(counted), place)
        self._checked(loss, count, "run.step")
        return Loss(loss, float(count), self._figures.taken(float(count)), place)

    def _checked(self, loss: Any, count: Any, what: str) -> None:
        checks.check_loss(loss, count, what)
        if self.step_number < 2 and (name := figures.looks_like_a_mean(loss)) and count > 1:
            self._warn(
                f"the loss given to {what} looks like a mean ({name}), and is to be a sum: use "
                'reduction="sum", or multiply it by its count'
            )

    def _warn(self, text: str) -> None:
        training = self._training
        where = usercode.calling_line()
        said = f"{where}: {text}" if where else text
        if training is not None and said not in training.said:
            training.said.add(said)
            self._seat.tell(said)

    def _place(self, optimizer: Optimizer | None) -> int:
        known = self._parts.optimizers
        if optimizer is None and len(known) > 1:
            raise wrong(
                "run.step does not know which of several optimizers is to move",
                "run.step(loss, count, optimizer=...)",
            )
        if optimizer is not None and not any(each is optimizer for each in known):
            raise wrong("run.step was given an optimizer that was not prepared", "prepare it")
        return next((i for i, each in enumerate(known) if each is optimizer), 0)

    def _in_loop(self, what: str) -> Piece:
        if self._piece is None:
            raise wrong(f"{what} was called outside of the loop", _AFTER)
        return self._piece

    def _not_yet(self, what: str) -> None:
        if self._training is not None:
            fix = "call it before the loop"
            if what == "run.batches":
                fix = "make it one loop: run.batches(..., epochs=3); run.epoch says which it is"
            raise wrong(f"{what} was called after run.batches", fix)

    def _unanswered(self) -> Exception:
        return wrong("the loop went on to the next batch without run.step", _AFTER)

    def _opened(
        self, dataset: Any, collate: Collate | None, shuffle: bool
    ) -> tuple[Source, Ordering]:
        """The data, and the order in which they come."""
        train = self._job.train
        if is_stream(dataset):
            beat = self._seat.link.pulse.beat
            stream = passage_of(dataset, collate, train.global_batch, train.epochs, beat)
            self._parts.kept |= {
                "stream": stream,
                "order": Terms(0, train, usercode.calling_line()),
            }
            inline = self._job.data.model_copy(update={"workers": 0})  # one reader per rank
            self._job = self._job.model_copy(update={"data": inline})
            return stream, stream
        samples = samples_of(dataset, collate, "run.batches")
        if len(samples) < train.global_batch:
            raise DataTooSmall(
                f"there are {len(samples)} samples, and a step takes {train.global_batch}",
                where=usercode.calling_line(),
                fix=f"make global_batch {len(samples)} or less",
            )
        terms = Terms(len(samples), train, usercode.calling_line())
        self._parts.kept["order"] = terms
        return samples, Order(len(samples), train.global_batch, train.seed, shuffle)

    def _built(self, samples: Source, order: Ordering) -> Training:
        job, seat = self._job, self._seat
        exam = self._exam[1] if self._exam else None
        worker = self._parts.worker(job, self._figures, exam, self.device)
        worker.read = self._figures.read
        return Training(
            job=job,
            rank=seat.rank,
            link=seat.link,
            store_port=seat.store_port,
            worker=worker,
            data=Sources(samples, self._exam[0] if self._exam else None),
            order=order,
            total_steps=job.train.steps or (job.train.epochs or 0) * order.steps_per_epoch,
            reporter=seat.reporter,
            keeper=seat.keeper(job),
            ledger=seat.ledger(),
            part=seat.part,
            rehearses=False,
            ghosts=True,
            epochs=job.train.epochs,
        )

    def _ended_early(self) -> Done:
        """What the script broke off is over, with what was committed so far."""
        training = self._training
        assert training is not None
        if self.is_lead:
            training.keeper.save(training.worker.snapshot(), None, False)
            training.keeper.wait()
            training.keeper.export(training.worker)
        done = Done("finished", training.worker.progress.step)
        self._seat.finished(done)
        return done
