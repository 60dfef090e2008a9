"""How gradients meet: sums over all ranks, in buckets of a fixed order, while backward runs.

Buckets are filled in reverse order of the parameters, roughly as backward finishes them, and
are always issued in that one order, from the thread that runs backward: never from a
collective's callback, which deadlocks Gloo. A bucket that is ready early waits for its turn. On
an accelerator a bucket is staged through host memory, so that ranks of all kinds may meet; a GPU
copies it there while it computes on, and it is sent off once it has arrived.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

import torch
from torch import Tensor, nn

from evener.rank.group import Group

SMALLEST_BYTES, LARGEST_BYTES, BUCKETS = 2 << 20, 25 << 20, 8


@dataclass(slots=True)
class Bucket:
    """Parameters whose gradients travel together; `views` are their places in `flat`."""

    parameters: list[nn.Parameter]
    flat: Tensor
    views: list[Tensor]
    staged: Tensor  # the same memory on a CPU, pinned host memory otherwise
    arrived: torch.cuda.Event | None = None  # of a GPU: in host memory
    missing: int = 0

    def gather(self) -> None:
        """Bring the gradients in, on their way to host memory; a parameter without one contributes
        zero."""
        pairs = [(v, p.grad) for v, p in zip(self.views, self.parameters, strict=True)]
        there = [(v, g) for v, g in pairs if g is not None and g is not v]
        if there:
            torch._foreach_copy_([v for v, _ in there], [g for _, g in there])
        for view, gradient in pairs:
            if gradient is None:
                view.zero_()
        if self.staged is not self.flat:
            self.staged.copy_(self.flat, non_blocking=self.arrived is not None)
        if self.arrived is not None:
            self.arrived.record()

    def is_there(self, wait: bool) -> bool:
        """In host memory, to be sent."""
        if self.arrived is not None and wait:
            self.arrived.synchronize()
        return self.arrived is None or self.arrived.query()

    def scatter(self) -> None:
        if self.staged is not self.flat:
            self.flat.copy_(self.staged, non_blocking=self.arrived is not None)
        for view, parameter in zip(self.views, self.parameters, strict=True):
            parameter.grad = view


@dataclass(slots=True)
class Exchange:
    """The gradient sums of one generation. `begin` before the last backward, then `finish`."""

    group: Group
    buckets: list[Bucket]
    _place: dict[nn.Parameter, int] = field(default_factory=dict)
    began: float = 0.0  # when the first bucket was sent off, by perf_counter
    _armed: bool = False
    _gathered: int = 0
    _next: int = 0  # to be sent
    _waits: list[Callable[[], None]] = field(default_factory=list)
    _hooks: list[torch.utils.hooks.RemovableHandle] = field(default_factory=list)

    def begin(self, control: Tensor, early: bool = True) -> None:
        """Send the step's small numbers off, and the buckets as backward completes them.

        Not `early`: when it has ended, for in between other sums meet, and all ranks must begin
        all sums in one order.
        """
        self._waits = [self.group.sum_async(control)]
        self._gathered = self._next = 0
        for bucket in self.buckets:
            bucket.missing = len(bucket.parameters)
        self._armed = early

    def close_backward(self) -> None:
        """Issue what backward did not complete: all of it, on a rank without samples."""
        self._armed = False
        while self._gathered < len(self.buckets):
            self._gather()
        self._issue(wait=True)

    @property
    def under_way_s(self) -> float:
        """For how long buckets have been on their way."""
        return perf_counter() - self.began if self._next else 0.0

    def finish(self) -> None:
        """Wait for everything; gradients then hold the sums over all ranks."""
        for wait in self._waits:
            wait()
        for bucket in self.buckets:
            bucket.scatter()

    def close(self) -> None:
        for hook in self._hooks:
            hook.remove()

    def watch(self) -> None:
        for index, bucket in enumerate(self.buckets):
            for parameter in bucket.parameters:
                self._place[parameter] = index
                self._hooks.append(parameter.register_post_accumulate_grad_hook(self._ready))

    def _ready(self, parameter: Tensor) -> None:
        if not self._armed:
            return
        self.buckets[self._place[parameter]].missing -= 1  # type: ignore[index]  # a Parameter
        while self._gathered < len(self.buckets) and self.buckets[self._gathered].missing == 0:
            self._gather()
        self._issue(wait=False)

    def _gather(self) -> None:
        self.buckets[self._gathered].gather()
        self._gathered += 1

    def _issue(self, wait: bool) -> None:
        """Send what was gathered and is there; all of it, if we `wait` for it."""
        while self._next < self._gathered and self.buckets[self._next].is_there(wait):
            if self._next == 0:
                self.began = perf_counter()
            self._waits.append(self.group.sum_async(self.buckets[self._next].staged))
            self._next += 1


@contextmanager
def open_exchanges(
    group: Group, movings: Sequence[Sequence[nn.Parameter]]
) -> Iterator[list[Exchange]]:
    """One for the parameters of each optimizer."""
    exchanges = [open_exchange(group, parameters) for parameters in movings]
    try:
        yield exchanges
    finally:
        for exchange in exchanges:
            exchange.close()


def open_exchange(group: Group, parameters: Sequence[nn.Parameter]) -> Exchange:
    """Alone, gradients stay where they are: there are no buckets, and nothing is copied."""
    if group.size == 1:
        return Exchange(group, [])
    exchange = Exchange(group, [_bucket(part) for part in partition(parameters)])
    exchange.watch()
    return exchange


def partition(parameters: Sequence[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Neighbours of one type and device, last first, up to a size that leaves room to overlap."""
    total = sum(p.numel() * p.element_size() for p in parameters)
    limit = min(LARGEST_BYTES, max(SMALLEST_BYTES, total // BUCKETS))
    parts: list[list[nn.Parameter]] = []
    size = 0
    for parameter in reversed([p for p in parameters if p.requires_grad]):
        size_bytes = parameter.numel() * parameter.element_size()
        alike = bool(parts) and parts[-1][0].dtype == parameter.dtype
        if not alike or size + size_bytes > limit:
            parts.append([])
            size = 0
        parts[-1].append(parameter)
        size += size_bytes
    return parts


def _bucket(parameters: list[nn.Parameter]) -> Bucket:
    first = parameters[0]
    flat = torch.zeros(sum(p.numel() for p in parameters), dtype=first.dtype, device=first.device)
    views = [
        v.view_as(p)
        for v, p in zip(flat.split([p.numel() for p in parameters]), parameters, strict=True)
    ]
    if first.device.type == "cpu":
        return Bucket(parameters, flat, views, flat)
    of_cuda = first.device.type == "cuda"
    staged = torch.zeros_like(flat, device="cpu", pin_memory=of_cuda)
    return Bucket(parameters, flat, views, staged, torch.cuda.Event() if of_cuda else None)
