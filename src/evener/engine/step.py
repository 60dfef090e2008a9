"""One step on one global batch, as one rank sees it: its samples, everyone's gradients.

The sum of the losses is differentiated, the sums are summed over ranks, and the optimizer sees
them divided by the sum of the counts. Whether the gradients are finite is asked after the
reduction, when all ranks hold the same bits, so all skip or none does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import torch

from evener.engine.balance import Measured
from evener.engine.batchnorm import spared
from evener.engine.exchange import Exchange
from evener.engine.optimizer import learning_rate
from evener.engine.task import Batch, Loss, move
from evener.engine.worker import Worker
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
    """One rank's part of one step: `fetch` yields its micro-batches (None: it has none)."""

    fetch: Callable[[], Batch | None]
    pieces: int
    start: int  # its first position in the epoch: seeds dropout
    asks: Asks
    before: Spent  # of the previous step, for the balance
    ghost: bool = False  # its samples count nothing: it only keeps the others' layers company


def take_step(worker: Worker, exchange: Exchange, part: Part, total_steps: int) -> Outcome:
    """Compute, reduce, and commit by moving the optimizer; raises GroupBroken with no effect."""
    progress, train = worker.progress, worker.job.train
    rate = learning_rate(train, progress.step, total_steps)
    scale = progress.scale if train.precision == "fp16" else 1.0
    torch.manual_seed(_seed(train.seed, progress.step, part.start))
    worker.optimizer.zero_grad(set_to_none=True)
    spent = Spent()
    undo = worker.remember_buffers()
    try:
        with worker.among(exchange.group, part.ghost):
            control = _accumulate(worker, exchange, part, scale, spent)
        began = perf_counter()
        exchange.finish()
        spent.exchange_s += perf_counter() - began
    except BaseException:
        undo()
        raise
    numbers = control.tolist()
    began = perf_counter()
    norm = _apply(worker, numbers[0] * scale, rate)
    if progress.skipped_in_a_row:
        undo()
    devices.synchronize(worker.device)
    spent.optimizer_s = perf_counter() - began
    return _outcome(worker, numbers, norm, rate, exchange.group.size, spent)


def _accumulate(
    worker: Worker, exchange: Exchange, part: Part, scale: float, spent: Spent
) -> torch.Tensor:
    """Forward and backward over all pieces; the last one's backward overlaps the exchange.

    Not where layers meet: there, what all ranks sum in backward must come in one order.
    """
    total, early = _Sums(worker.task.metrics), worker.meeting is None
    for piece in range(part.pieces):
        began = perf_counter()
        batch = part.fetch()
        spent.data_s += perf_counter() - began
        last = piece == part.pieces - 1
        if batch is None:
            exchange.begin(total.control(exchange, part))
            break
        began = perf_counter()
        loss = forward(worker, batch)
        if not part.ghost:
            total.add(loss)
            spent.samples += len(batch[0])
        forwarded = perf_counter()
        spent.forward_s += forwarded - began - _met(worker, spent)
        if last:
            exchange.begin(total.control(exchange, part), early)
        (loss.sum * scale if scale != 1.0 else loss.sum).backward()
        devices.synchronize(worker.device)
        spent.backward_s += perf_counter() - forwarded - _met(worker, spent)
    if part.ghost:
        worker.optimizer.zero_grad(set_to_none=True)
    exchange.close_backward()
    spent.hidden_s = exchange.under_way_s if early else 0.0
    return total.sent


def _met(worker: Worker, spent: Spent) -> float:
    """Seconds that layers waited for other ranks': they belong to the exchange."""
    waited_s = 0.0 if worker.meeting is None else worker.meeting.take_waited_s()
    spent.exchange_s += waited_s
    return waited_s


def forward(worker: Worker, batch: Batch) -> Loss:
    """The loss of a piece. A sample alone goes through the plain model, spared by hooks that a
    compiled one would not see."""
    worker.last_piece = len(batch[0])
    batch = move(batch, worker.device, worker.dtype)
    with devices.autocast(worker.job.train.precision, worker.device):
        if len(batch[0]) > 1 or not worker.normed or worker.meeting is not None:
            return worker.task.loss(worker.forward, batch, training=True)
        with spared(worker.model):
            return worker.task.loss(worker.model, batch, training=True)


class _Sums:
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


def _apply(worker: Worker, divisor: float, rate: float) -> float:
    """Divide, clip and step, in one pass over the gradients; returns the norm, divided.

    A norm that is not finite moves nothing: the batch is consumed, the weights stay.
    """
    train, progress = worker.job.train, worker.progress
    parameters = worker.parameters
    for parameter in parameters:
        if parameter.grad is None:  # nobody's samples reached it: zero, however many ranks
            parameter.grad = torch.zeros_like(parameter)
    gradients = [p.grad for p in parameters if p.grad is not None]
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
    for group in worker.optimizer.param_groups:
        group["lr"] = rate
    worker.optimizer.step()
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
