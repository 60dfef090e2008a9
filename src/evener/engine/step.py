"""One step on one global batch, as one rank sees it: its samples, everyone's gradients.

The sum of the losses is differentiated, the sums are summed over ranks, and the optimizer sees
them divided by the sum of the counts. Whether the gradients are finite is asked after the
reduction, when all ranks hold the same bits, so all skip or none does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

import torch

from evener.engine.balance import Measured
from evener.engine.batchnorm import spared
from evener.engine.exchange import Exchange
from evener.engine.task import Loss, Moved, Piece, Work, move
from evener.engine.worker import Moving, Worker
from evener.rank import device as devices

GROWTH_STEPS, GROWTH, BACKOFF = 2000, 2.0, 0.5  # of the fp16 scale, as is customary


@dataclass(slots=True)
class Spent:
    """Seconds of one step on this rank. `exchange_s` is what backward did not hide of it; the
    time of waiting for slower ranks is in there, until all know how long each has taken."""

    data_s: float = 0.0
    forward_s: float = 0.0
    backward_s: float = 0.0
    exchange_s: float = 0.0
    hidden_s: float = 0.0
    wait_s: float = 0.0
    optimizer_s: float = 0.0
    predicted_s: float = 0.0
    samples: int = 0

    @property
    def own_s(self) -> float:
        """Own work only, from one exchange to the next: a rank that waits is not slow."""
        return self.data_s + self.forward_s + self.backward_s + self.optimizer_s

    def settle_wait(self, slowest_s: float) -> None:
        """Who took longest was waited for; what is left of the exchange was the exchange."""
        self.wait_s = min(max(slowest_s - self.own_s, 0.0), self.exchange_s)
        self.exchange_s -= self.wait_s


@dataclass(frozen=True, slots=True)
class Asks:
    """What this rank would have all ranks do after the step, each of which one may ask."""

    pause: bool = False
    stop: bool = False
    save: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the step came to: identical on all ranks, but for `spent`."""

    loss: float
    count: float
    metrics: dict[str, float]
    grad_norm: float
    lr: float
    skipped: bool
    asks: Asks
    measured: Measured  # of every rank, in the step before
    spent: Spent = field(default_factory=Spent)


@dataclass(slots=True)
class Part:
    """One rank's part of one step: `fetch` gives its micro-batches (None: it has none)."""

    fetch: Callable[[], Piece | None]
    pieces: int
    start: int  # its first position in the epoch: seeds dropout
    asks: Asks
    before: Spent  # of the previous step, for the balance
    ghost: bool = False  # its samples count nothing: it only keeps the others' layers company


def take_step(worker: Worker, exchanges: Sequence[Exchange], part: Part) -> Work[Outcome]:
    """Compute, reduce, and commit by moving the optimizer; raises GroupBroken with no effect.

    With several optimizers the samples stay until every one has had its loss: what has moved
    before a break has moved for all, and is not moved again.
    """
    seed = _seed(worker.job.train.seed, worker.progress.step, part.start)
    devices.seed(worker.device, seed)
    worker.zero_grad()
    turn = Turn(worker, part, Spent(), Sums(worker.task.metrics))
    undo = worker.remember_buffers()
    try:
        if len(worker.moving) > 1:
            outcome = yield from _several(turn, exchanges)
        else:
            yield from _pieces(turn, exchanges[0])
            outcome = turn.finish(exchanges[0], 0)
    except BaseException:
        undo()
        raise
    if outcome.skipped:
        undo()
    return outcome


def _pieces(turn: Turn, exchange: Exchange) -> Work[None]:
    """All pieces of one optimizer's step; the last one's backward overlaps the exchange."""
    for number in range(turn.part.pieces):
        piece, last = turn.fetch(), number == turn.part.pieces - 1
        if piece is None:
            turn.begin(exchange)
            continue
        with turn.worker.among(exchange.group, turn.part.ghost):
            loss = yield from turn.ask(piece)
            turn.learn(loss, exchange if last else None)
        if not last:
            yield Moved(committed=False)


def _several(turn: Turn, exchanges: Sequence[Exchange]) -> Work[Outcome]:
    """One optimizer after the other, in the order that the answers come in."""
    progress, piece, done = turn.worker.progress, turn.fetch(), 0
    assert piece is not None, "a rank without samples gets a ghost"
    outcome: Outcome | None = None
    loss: Loss | None = yield from turn.ask(piece)
    while loss is not None:
        done += 1
        if done > progress.moves:
            exchange = exchanges[loss.optimizer]
            with turn.worker.among(exchange.group, turn.part.ghost):
                turn.learn(loss, exchange)
            outcome = joined(outcome, turn.finish(exchange, loss.optimizer))
            turn.sums = Sums(turn.worker.task.metrics)
            turn.worker.zero_grad()
            progress.moves = done
        began = perf_counter()
        loss = yield Moved(committed=True)
        turn.spent.forward_s += perf_counter() - began
    assert outcome is not None, "the driver sees to it that every step has an answer"
    progress.moves = 0
    return outcome


@dataclass(slots=True)
class Turn:
    """The work of one step on this rank, for one optimizer or one after the other."""

    worker: Worker
    part: Part
    spent: Spent
    sums: Sums
    scale: float = 1.0  # of the loss, for fp16

    def __post_init__(self) -> None:
        if self.worker.job.train.precision == "fp16":
            self.scale = self.worker.progress.scale

    def fetch(self) -> Piece | None:
        began = perf_counter()
        piece = self.part.fetch()
        self.spent.data_s += perf_counter() - began
        self.spent.samples += 0 if piece is None or piece.ghost else piece.samples
        return piece

    def ask(self, piece: Piece) -> Work[Loss]:
        """The loss of `piece`, by whoever drives."""
        began = perf_counter()
        self.worker.last_piece = piece.samples
        loss = yield piece
        assert loss is not None, "a driver answers a piece with its loss"
        self.spent.forward_s += perf_counter() - began - _met(self.worker, self.spent)
        return loss

    def learn(self, loss: Loss, exchange: Exchange | None) -> None:
        """Backward; with the last piece's the exchange begins, unless layers meet: there, what all
        ranks sum in backward must come in one order."""
        began = perf_counter()
        if not self.part.ghost:
            self.sums.add(loss)
        if exchange is not None:
            self.begin(exchange)
        if loss.sum.requires_grad:
            (loss.sum * self.scale if self.scale != 1.0 else loss.sum).backward()
        devices.synchronize(self.worker.device)
        self.spent.backward_s += perf_counter() - began - _met(self.worker, self.spent)

    def begin(self, exchange: Exchange) -> None:
        early = self.worker.meeting is None and not self.part.ghost
        exchange.begin(self.sums.control(exchange, self.part), early)

    def finish(self, exchange: Exchange, place: int) -> Outcome:
        """The sums of all ranks, and what the optimizer makes of them."""
        worker, spent = self.worker, self.spent
        if self.part.ghost:
            worker.zero_grad()
        exchange.close_backward()
        spent.hidden_s += exchange.under_way_s if worker.meeting is None else 0.0
        began = perf_counter()
        exchange.finish()
        spent.exchange_s += perf_counter() - began
        numbers = self.sums.sent.tolist()
        began = perf_counter()
        rate = _rate(worker, worker.moving[place])
        norm = _apply(worker, worker.moving[place], numbers[0] * self.scale)
        devices.synchronize(worker.device)
        spent.optimizer_s += perf_counter() - began
        return _outcome(worker, numbers, norm, rate, exchange.group.size, spent)


def joined(one: Outcome | None, other: Outcome) -> Outcome:
    """Of two optimizers' turns in one step: what was asked in either is asked."""
    if one is None:
        return other
    a, b = one.asks, other.asks
    asks = Asks(a.pause or b.pause, a.stop or b.stop, a.save or b.save)
    return replace(other, asks=asks, skipped=one.skipped or other.skipped)


def _met(worker: Worker, spent: Spent) -> float:
    """Seconds that layers waited for other ranks': they belong to the exchange."""
    waited_s = 0.0 if worker.meeting is None else worker.meeting.take_waited_s()
    spent.exchange_s += waited_s
    return waited_s


def forward(worker: Worker, piece: Piece) -> Loss:
    """The loss of a piece, by the worker's own task. A sample alone goes through the plain model,
    spared by hooks that a compiled one would not see."""
    batch = move(piece.batch, worker.device, worker.dtype)
    with devices.autocast(worker.job.train.precision, worker.device):
        if piece.samples > 1 or not worker.normed or worker.meeting is not None:
            return worker.task.loss(worker.forward, batch, training=True)
        with spared(worker.model):
            return worker.task.loss(worker.model, batch, training=True)


class Sums:
    """The step's small numbers: count, loss, asks, metrics, and every rank's last timing."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._count = 0.0
        self._loss = 0.0
        self._metrics = [0.0] * len(names)

    def add(self, loss: Loss) -> None:
        self._count += loss.count
        self._loss += float(loss.sum.detach())
        for i, name in enumerate(self._names):
            self._metrics[i] += float(loss.metrics[name])

    def control(self, exchange: Exchange, part: Part) -> torch.Tensor:
        size, index = exchange.group.size, exchange.group.index
        before = torch.zeros(3, size, dtype=torch.float64)
        spent = part.before
        before[:, index] = torch.tensor([spent.own_s, spent.samples, spent.exchange_s])
        asks = [float(part.asks.pause), float(part.asks.stop), float(part.asks.save)]
        own = torch.tensor([self._count, self._loss, *asks, *self._metrics], dtype=torch.float64)
        self.sent = torch.cat([own, before.flatten()])
        return self.sent


def _rate(worker: Worker, moving: Moving) -> float:
    """The learning rate of this step, set where the job says it."""
    groups = moving.optimizer.param_groups
    if worker.rate is not None:
        for group in groups:
            group["lr"] = worker.rate(worker.progress.step)
    return float(groups[0]["lr"])


def _apply(worker: Worker, moving: Moving, divisor: float) -> float:
    """Divide, clip and step, in one pass over the gradients; returns the norm, divided.

    A norm that is not finite moves nothing: the batch is consumed, the weights stay.
    """
    train, progress = worker.job.train, worker.progress
    for parameter in moving.parameters:
        if parameter.grad is None:  # nobody's samples reached it: zero, however many ranks
            parameter.grad = torch.zeros_like(parameter)
    gradients = [p.grad for p in moving.parameters if p.grad is not None]
    norm = float(torch.nn.utils.get_total_norm(gradients)) / divisor if divisor else float("nan")
    finite = norm == norm and norm not in (float("inf"), float("-inf"))
    _rescale(worker, finite)
    if not finite:
        progress.skipped += 1
        progress.skipped_in_a_row += 1
        return norm
    progress.skipped_in_a_row = 0
    factor = 1.0 / divisor
    if train.clip_norm is not None and norm > train.clip_norm:
        factor *= train.clip_norm / (norm + 1e-6)
    torch._foreach_mul_(gradients, factor)
    moving.optimizer.step()
    return norm


def _rescale(worker: Worker, finite: bool) -> None:
    """The fp16 loss scale: halved by a step that overflowed, doubled after many that did not."""
    progress = worker.progress
    if worker.job.train.precision != "fp16":
        return
    progress.scale_age = progress.scale_age + 1 if finite else 0
    if not finite:
        progress.scale = max(1.0, progress.scale * BACKOFF)
    elif progress.scale_age >= GROWTH_STEPS:
        progress.scale *= GROWTH
        progress.scale_age = 0


def _outcome(
    worker: Worker, numbers: list[float], norm: float, rate: float, size: int, spent: Spent
) -> Outcome:
    names = worker.task.metrics
    count, loss, pause, stop, save = numbers[:5]
    metrics, rest = numbers[5 : 5 + len(names)], numbers[5 + len(names) :]
    divisor = count or 1.0
    return Outcome(
        loss=loss / divisor,
        count=count,
        metrics={name: value / divisor for name, value in zip(names, metrics, strict=True)},
        grad_norm=norm,
        lr=rate,
        skipped=worker.progress.skipped_in_a_row > 0,
        asks=Asks(pause > 0, stop > 0, save > 0),
        measured=Measured(*(tuple(rest[i * size : (i + 1) * size]) for i in range(3))),
        spent=spent,
    )


def _seed(seed: int, step: int, start: int) -> int:
    """Dropout of a step depends on the step and on where in it this rank's samples begin."""
    digest = hashlib.blake2b(f"{seed}/{step}/{start}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
