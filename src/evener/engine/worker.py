"""A rank's replica: model, optimizer and progress; what of it is state, and how it is restored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from evener.checkpoint.snapshot import MODEL, OPTIMIZER, Snapshot
from evener.config.schema import Job
from evener.engine.optimizer import build_optimizer
from evener.engine.progress import Progress
from evener.engine.task import Task
from evener.errors import CheckpointMismatch
from evener.rank.group import Group


@dataclass(slots=True)
class Worker:
    """`forward` is the model as it is called (perhaps compiled); `model` owns the state."""

    job: Job
    model: nn.Module
    forward: Callable[..., Any]
    optimizer: torch.optim.Optimizer
    task: Task
    device: torch.device
    dtype: torch.dtype
    parameters: list[nn.Parameter]  # those that learn; walked every step, so listed once
    buffers: dict[str, Tensor]  # those that move in a forward pass
    progress: Progress = field(default_factory=Progress)
    has_state: bool = False
    samples_since_merge: float = 0.0
    last_piece: int = 0  # samples that went through the model at once
    _before: dict[str, Tensor] = field(default_factory=dict)

    @property
    def step(self) -> int:
        """The last committed step as membership counts: -1 without any state."""
        return self.progress.step if self.has_state else -1

    @property
    def mark(self) -> int:
        """Replicas of one mark are of one state: their tensors move with the counters only."""
        return self.progress.mark if self.has_state else 0

    def snapshot(self) -> Snapshot:
        """A copy on the CPU that later steps do not touch."""
        tensors = {MODEL + k: v for k, v in _model_state(self.model).items()}
        for name, parameter in self.model.named_parameters():
            for slot, value in self.optimizer.state.get(parameter, {}).items():
                if isinstance(value, Tensor):
                    tensors[f"{OPTIMIZER}{name}.{slot}"] = value
        copies = {k: _copy(v) for k, v in tensors.items()}
        return Snapshot(self.progress.step, copies, self.progress.to_dict())

    def restore(self, snapshot: Snapshot) -> None:
        """Become the replica that `snapshot` was taken of. Refuses another model's, untouched."""
        own = _model_state(self.model)
        theirs = snapshot.part(MODEL)
        _check_fit(own, theirs)
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(theirs[name])
        self._restore_optimizer(snapshot.part(OPTIMIZER))
        self.progress = Progress.from_dict(snapshot.meta)
        self.samples_since_merge = 0.0
        self.has_state = True

    def _restore_optimizer(self, slots: dict[str, Tensor]) -> None:
        self.optimizer.state.clear()
        fused = bool(self.optimizer.defaults.get("fused"))
        parameters = dict(self.model.named_parameters())
        for key, value in slots.items():
            name, slot = key.rsplit(".", 1)
            parameter = parameters[name]
            target = parameter.device if slot != "step" or fused else torch.device("cpu")
            self.optimizer.state[parameter][slot] = value.to(target, copy=True)

    def remember_buffers(self) -> Callable[[], None]:
        """Buffers move in the forward pass; the result moves them back if the step is not to be."""
        if not self._before:
            self._before = {k: v.clone() for k, v in self.buffers.items()}
        for name, buffer in self.buffers.items():
            self._before[name].copy_(buffer)

        def undo() -> None:
            for name, buffer in self.buffers.items():
                buffer.copy_(self._before[name])

        return undo

    def merge_buffers(self, group: Group) -> None:
        """Level what BatchNorm gathered on each rank: the mean, by samples seen since the last.

        Nothing changes here unless every sum arrived.
        """
        buffers = self.buffers
        if group.size == 1 or not buffers or self.progress.merged_step == self.progress.step:
            return
        weight = self.samples_since_merge
        flat = torch.cat(
            [b.detach().double().flatten().cpu() * weight for b in buffers.values()]
            + [torch.tensor([weight], dtype=torch.float64)]
        )
        group.sum(flat)
        self.samples_since_merge = 0.0
        self.progress.merged_step = self.progress.step
        total = float(flat[-1])
        if total <= 0:
            return
        means = (flat[:-1] / total).split([b.numel() for b in buffers.values()])
        for buffer, mean in zip(buffers.values(), means, strict=True):
            buffer.copy_(mean.view_as(buffer))


def build_worker(job: Job, model: nn.Module, task: Task, device: torch.device) -> Worker:
    """A replica with fresh weights in the job's precision, on its device."""
    dtype = torch.float64 if job.train.precision == "fp64" else torch.float32
    model = model.to(device=device, dtype=dtype)
    model.train()
    forward = torch.compile(model) if job.train.compile else model
    optimizer = build_optimizer(job.train, model.parameters(), device)
    learning = [p for p in model.parameters() if p.requires_grad]
    moving = _float_buffers(model)
    return Worker(job, model, forward, optimizer, task, device, dtype, learning, moving)


def _model_state(model: nn.Module) -> dict[str, Tensor]:
    """Each tensor once, under its first name (tied weights have two), buffers included."""
    kept = set(model.state_dict(keep_vars=True))
    tensors: dict[str, Tensor] = dict(model.named_parameters())
    tensors |= {k: v for k, v in model.named_buffers() if k in kept}
    return tensors


def _float_buffers(model: nn.Module) -> dict[str, Tensor]:
    kept = _model_state(model)
    return {k: v for k, v in model.named_buffers() if k in kept and v.is_floating_point()}


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True).contiguous()


def _check_fit(own: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    differences = [f"{k} is missing" for k in own if k not in theirs]
    differences += [f"{k} is not in this model" for k in theirs if k not in own]
    differences += [
        f"{k} is {tuple(theirs[k].shape)}, this model's {tuple(own[k].shape)}"
        for k in own
        if k in theirs and own[k].shape != theirs[k].shape
    ]
    if differences:
        more = f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""
        raise CheckpointMismatch(
            f"the checkpoint is of another model: {differences[0]}{more}",
            where="model",
            fix="resume with the job it was trained with, or begin a new run",
        )
