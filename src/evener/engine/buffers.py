"""What a model's forward passes move by themselves: statistics, put back or levelled over ranks.

Batch normalisation keeps running averages of what its rank saw. They are part of the state, so a
step that is not to be puts them back, and before anybody evaluates or saves the model the ranks
make them one, weighted by the samples each has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from evener.engine.batchnorm import norms
from evener.rank.group import Group


@dataclass(slots=True)
class Buffers:
    """`tensors` by their names; `variances` names those that are variances, with their means."""

    tensors: dict[str, Tensor]
    variances: dict[str, str] = field(default_factory=dict)
    _before: dict[str, Tensor] = field(default_factory=dict)

    def remember(self) -> Callable[[], None]:
        """The result moves everything back to where it is now, until the next call."""
        if not self._before:
            self._before = {k: v.clone() for k, v in self.tensors.items()}
        for name, buffer in self.tensors.items():
            self._before[name].copy_(buffer)

        def undo() -> None:
            for name, buffer in self.tensors.items():
                buffer.copy_(self._before[name])

        return undo

    def merge(self, group: Group, weight: float) -> None:
        """The same on all ranks, to the bit. Nothing changes here unless every sum arrived."""
        own = moments(self.tensors, self.variances)
        flat = torch.cat(
            [v.flatten() * weight for v in own.values()]
            + [torch.tensor([weight], dtype=torch.float64)]
        )
        group.sum(flat)
        total = float(flat[-1])
        if total <= 0:
            return
        parts = (flat[:-1] / total).split([v.numel() for v in own.values()])
        merged = settled(dict(zip(own, parts, strict=True)), self.variances)
        for name, buffer in self.tensors.items():
            value = merged[name].view_as(buffer)
            buffer.copy_(value if buffer.is_floating_point() else value.round())


def moments(tensors: Mapping[str, Tensor], variances: Mapping[str, str]) -> dict[str, Tensor]:
    """Copies in fp64 on the CPU whose mean is that of several ranks.

    The variance of a mixture is no mean of variances; its mean square is one of mean squares.
    """
    wide = {k: v.detach().cpu().double() for k, v in tensors.items()}
    return {
        k: v + wide[variances[k]].square() if k in variances else v.clone() for k, v in wide.items()
    }


def settled(means: Mapping[str, Tensor], variances: Mapping[str, str]) -> dict[str, Tensor]:
    """From mean squares back to variances."""
    return {
        k: (v - means[variances[k]].square()).clamp(min=0) if k in variances else v
        for k, v in means.items()
    }


def moving_buffers(model: nn.Module) -> Buffers:
    """All real ones that are part of the state; of whole ones, how many batches were averaged."""
    kept = set(model.state_dict(keep_vars=True))
    tensors = {k: v for k, v in model.named_buffers() if k in kept and v.is_floating_point()}
    variances = {}
    for place, module in norms(model).items():
        mean, variance, count = (
            f"{place}.{name}".lstrip(".")
            for name in ("running_mean", "running_var", "num_batches_tracked")
        )
        if mean in tensors and variance in tensors:
            variances[variance] = mean
        if module.num_batches_tracked is not None and count in kept:
            tensors[count] = module.num_batches_tracked
    return Buffers(tensors, variances)
