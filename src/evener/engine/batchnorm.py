"""Batch normalisation over all ranks, and what one rank's own must be spared.

Here `train.batchnorm = "sync"`: every rank normalises by the statistics of the whole batch, as one
process would. Sums of x and x², and the count, meet in the forward pass, two more sums in the
backward pass; torch's SyncBatchNorm does the same, on GPUs only. All ranks must pass the same
layers in the same order, once in a step: so a rank without samples passes a ghost, a sample that
counts nothing, and gradients wait until backward is over.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from evener.errors import BadCombination, CodeReturnedWrong
from evener.rank.group import Group


def norms(model: nn.Module) -> dict[str, _BatchNorm]:
    """The batch normalisations of `model`, by their names."""
    return {name: m for name, m in model.named_modules() if isinstance(m, _BatchNorm)}


@contextmanager
def spared(model: nn.Module) -> Iterator[None]:
    """Within, a layer that gets one value per channel takes its running averages: from one value
    there is no variance, and torch refuses."""

    def spare(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if module.training and _values(inputs[0]) == 1:
            module.eval()
            changed.append(module)

    changed: list[nn.Module] = []
    hooks = [module.register_forward_pre_hook(spare) for module in norms(model).values()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for module in changed:
            module.train()


class Meeting:
    """Where the ranks' layers meet. Outside of `held` a rank is by itself: it may rehearse."""

    def __init__(self) -> None:
        self._group: Group | None = None
        self._ghost = False
        self._waited_s = 0.0

    @contextmanager
    def held(self, group: Group, ghost: bool) -> Iterator[None]:
        """One step of this rank among the others; as a `ghost` it adds nothing to their sums."""
        self._group, self._ghost, self._waited_s = group, ghost, 0.0
        try:
            yield
        finally:
            self._group, self._ghost = None, False

    def sum(self, numbers: Tensor, place: int) -> Tensor:
        """`numbers` over all ranks, in fp64 on the CPU. `place`: which sum of the step it is."""
        numbers = numbers.detach().cpu().double()
        if self._group is None or self._group.size == 1:
            return numbers
        began = perf_counter()
        if self._ghost:
            numbers = torch.zeros_like(numbers)
        sent = torch.cat([numbers, torch.tensor([float(place)], dtype=torch.float64)])
        self._group.sum(sent)
        self._waited_s += perf_counter() - began
        if float(sent[-1]) != float(place) * self._group.size:
            raise _out_of_order()
        return sent[:-1]

    def take_waited_s(self) -> float:
        """Seconds in sums since this was last asked: they are no work of this rank's own."""
        waited_s, self._waited_s = self._waited_s, 0.0
        return waited_s


def synchronise(model: nn.Module) -> Meeting | None:
    """Let the model's layers meet the other ranks', in place: names, weights, buffers stay.

    None where the model has no batch normalisation.
    """
    found = norms(model)
    for name, module in found.items():
        if type(module) not in _SYNCED:
            raise BadCombination(
                f"{name} is a {type(module).__name__}: only torch's own BatchNorm1d, 2d and 3d "
                "can be synchronised",
                where="train.batchnorm, model.name",
                fix='use batchnorm = "local", or one of these layers in the model',
            )
    meeting = Meeting()
    for place, module in enumerate(found.values(), start=1):
        module.__class__ = _SYNCED[type(module)]
        assert isinstance(module, _Synced)  # from here on
        module.meeting, module.place = meeting, place
    return meeting if found else None


@dataclass(frozen=True, slots=True)
class _Moments:
    """Of each channel of the whole batch, in fp64 on the CPU; `count` are values per channel."""

    count: float
    mean: Tensor
    variance: Tensor


class _Synced(_BatchNorm):
    """In training by the whole batch; otherwise as it was before."""

    meeting: Meeting
    place: int

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        self._check_input_dim(input)  # type: ignore[no-untyped-call]  # torch's own
        moments = self._gather(input.detach())
        if moments.count <= 1:  # no variance; torch refuses where there are no averages either
            return functional.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias,
                training=self.running_mean is None, eps=self.eps,
            )  # fmt: skip
        self._track(moments)
        kind = _computed_in(input)
        scale = (moments.variance + self.eps).rsqrt()
        result: Tensor = _Normalise.apply(  # type: ignore[no-untyped-call]  # nor is this
            input, self.weight, self.bias, moments.mean.to(input.device, kind),
            scale.to(input.device, kind), moments.count, self,
        )  # fmt: skip
        return result

    def _gather(self, x: Tensor) -> _Moments:
        """Σx and Σx² by way of the distances from the mean here, which loses no digits."""
        x = x.to(_computed_in(x))
        wide, dims = _summed_in(x), _dims(x)
        here = x.mean(dims)
        apart = x - _along(here, x)
        first, second = apart.sum(dims, dtype=wide), apart.square().sum(dims, dtype=wide)
        n, here = _values(x), here.cpu().double()
        first, second = first.cpu().double(), second.cpu().double()
        sums = torch.cat(
            [
                torch.tensor([float(n)], dtype=torch.float64),
                first + n * here,
                second + 2 * here * first + n * here.square(),
            ]
        )
        count, *rest = self.meeting.sum(sums, self.place).split([1, len(here), len(here)])
        mean, square = (part / count for part in rest)
        return _Moments(float(count), mean, (square - mean.square()).clamp(min=0))

    def _track(self, moments: _Moments) -> None:
        """Move the running averages as torch does; the variance there is the unbiased one."""
        if not self.track_running_stats or self.running_mean is None or self.running_var is None:
            return
        factor = self.momentum
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if factor is None:
                factor = 1.0 / float(self.num_batches_tracked)
        unbiased = moments.variance * (moments.count / (moments.count - 1))
        for running, new in ((self.running_mean, moments.mean), (self.running_var, unbiased)):
            running.lerp_(new.to(running.device, running.dtype), factor or 0.0)


class _Synced1d(_Synced, nn.BatchNorm1d):
    pass


class _Synced2d(_Synced, nn.BatchNorm2d):
    pass


class _Synced3d(_Synced, nn.BatchNorm3d):
    pass


_SYNCED: dict[type[_BatchNorm], type[_Synced]] = {
    nn.BatchNorm1d: _Synced1d,
    nn.BatchNorm2d: _Synced2d,
    nn.BatchNorm3d: _Synced3d,
}


class _Normalise(torch.autograd.Function):
    """(x - mean) * scale, whose mean and scale depend on the x of all ranks."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor,
        scale: Tensor, count: float, layer: _Synced,
    ) -> Tensor:  # fmt: skip
        ctx.save_for_backward(x, weight, mean, scale)
        ctx.count, ctx.layer = count, layer
        out = (x - _along(mean, x)).mul_(_along(_steep(weight, scale), x))
        if bias is not None:
            out += _along(bias, x)
        return out.to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, arrived: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, scale = ctx.saved_tensors
        wide, dims = _summed_in(x), _dims(x)
        gradient = arrived.to(scale.dtype)
        normed = (x - _along(mean, x)) * _along(scale, x)
        of_bias = gradient.sum(dims, dtype=wide)
        of_weight = (gradient * normed).sum(dims, dtype=wide)
        sums = ctx.layer.meeting.sum(torch.cat([of_bias, of_weight]), -ctx.layer.place)
        means = (sums / ctx.count).to(x.device, scale.dtype)
        first, second = (_along(part, x) for part in means.chunk(2))
        of_x = (gradient - first - normed * second) * _along(_steep(weight, scale), x)
        own = (None, None) if weight is None else (of_weight.to(weight), of_bias.to(weight))
        return of_x.to(x.dtype), *own, None, None, None, None


def _steep(weight: Tensor | None, scale: Tensor) -> Tensor:
    """What a layer multiplies by in all."""
    return scale if weight is None else scale * weight


def _values(x: Tensor) -> int:
    """Per channel."""
    return x.numel() // max(1, x.shape[1])


def _dims(x: Tensor) -> list[int]:
    return [d for d in range(x.dim()) if d != 1]


def _along(channels: Tensor, x: Tensor) -> Tensor:
    """One number per channel, in the shape that meets `x`."""
    return channels.view([1, -1] + [1] * (x.dim() - 2))


def _computed_in(x: Tensor) -> torch.dtype:
    """Halves are too short for statistics."""
    return x.dtype if x.dtype in (torch.float32, torch.float64) else torch.float32


def _summed_in(x: Tensor) -> torch.dtype:
    return torch.float32 if x.device.type == "mps" else torch.float64  # it has no fp64


def _out_of_order() -> CodeReturnedWrong:
    return CodeReturnedWrong(
        "the ranks passed the model's batch normalisations in different orders",
        where="model.name",
        fix='let no chance decide which layers forward() passes, or use batchnorm = "local"',
    )
