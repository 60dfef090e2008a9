"""A rank's replica: model, optimizers and progress; what of it is state, and how it is restored."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from evener.checkpoint import stream
from evener.checkpoint.snapshot import MODEL, OPTIMIZER, Snapshot
from evener.config.schema import Job
from evener.engine.batchnorm import Meeting, norms, synchronise
from evener.engine.buffers import Buffers, moving_buffers
from evener.engine.kept import KEPT, Kept
from evener.engine.optimizer import build_optimizer
from evener.engine.progress import Progress
from evener.engine.task import Task
from evener.errors import CheckpointMismatch
from evener.rank.group import Group


@dataclass(slots=True)
class Moving:
    """What a step moves: an optimizer, and the parameters of it that learn."""

    optimizer: torch.optim.Optimizer
    parameters: list[nn.Parameter]  # walked every step, so listed once


@dataclass(slots=True)
class Worker:
    """`forward` is the model as it is called (perhaps compiled); `model` owns the state."""

    job: Job
    model: nn.Module
    forward: Callable[..., Any]
    moving: tuple[Moving, ...]
    task: Task
    exam: Task  # what validation measures
    device: torch.device
    dtype: torch.dtype | None  # of all real numbers; None: as they come
    buffers: Buffers  # those that move in a forward pass
    normed: bool  # it has batch normalisation
    meeting: Meeting | None  # where that meets the other ranks', if it does
    rate: Callable[[int], float] | None = None  # by the step; None: the optimizer has its own
    kept: Kept = field(default_factory=Kept)  # what else is state
    read: Callable[[dict[str, float]], dict[str, float]] = dict  # a step's metrics, to be told
    committed: Callable[[], object] = bool  # after every step, on every rank
    progress: Progress = field(default_factory=Progress)
    has_state: bool = False
    samples_since_merge: float = 0.0
    last_piece: int = 0  # samples that went through the model at once

    @property
    def step(self) -> int:
        """The last committed step as membership counts: -1 without any state."""
        return self.progress.step if self.has_state else -1

    @property
    def mark(self) -> int:
        """Replicas of one mark are of one state: their tensors move with the counters only."""
        return self.progress.mark if self.has_state else 0

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Those that learn."""
        return [p for moving in self.moving for p in moving.parameters]

    def zero_grad(self) -> None:
        """Of all, whoever moves them."""
        for parameter in self.model.parameters():
            parameter.grad = None

    def state(self) -> Snapshot:
        """The tensors themselves, on their device: the next step changes them."""
        tensors = {MODEL + k: v for k, v in model_state(self.model).items()}
        names: dict[Tensor, str] = {p: name for name, p in self.model.named_parameters()}
        for moving in self.moving:
            for parameter, slots in moving.optimizer.state.items():
                for slot, value in slots.items():
                    if isinstance(value, Tensor):
                        tensors[f"{OPTIMIZER}{names[parameter]}.{slot}"] = value
        kept, values = self.kept.packed()
        meta = self.progress.to_dict() | ({KEPT: values} if values else {})
        return Snapshot(self.progress.step, tensors | kept, meta)

    def snapshot(self) -> Snapshot:
        """A copy on the CPU that later steps do not touch."""
        state = self.state()
        copies = {k: _copy(v) for k, v in state.tensors.items()}
        return Snapshot(state.step, copies, state.meta)

    def restore(self, snapshot: Snapshot) -> None:
        """Become the replica that `snapshot` was taken of. Refuses another model's, untouched."""
        own = model_state(self.model)
        theirs = snapshot.part(MODEL)
        _check_fit(own, theirs)
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(theirs[name])
        self._restore_optimizers(snapshot.part(OPTIMIZER))
        self.kept.restore(snapshot)
        self.progress = Progress.from_dict(snapshot.meta)
        self.samples_since_merge = 0.0
        self.has_state = True

    def _restore_optimizers(self, slots: dict[str, Tensor]) -> None:
        parameters = dict(self.model.named_parameters())
        owners = {p: moving.optimizer for moving in self.moving for p in moving.parameters}
        for moving in self.moving:
            moving.optimizer.state.clear()
        for key, value in slots.items():
            name, slot = key.rsplit(".", 1)
            parameter = parameters[name]
            optimizer = owners[parameter]
            fused = bool(optimizer.defaults.get("fused") or optimizer.defaults.get("capturable"))
            target = parameter.device if slot != "step" or fused else torch.device("cpu")
            optimizer.state[parameter][slot] = value.to(target, copy=True)

    def remember_buffers(self) -> Callable[[], None]:
        """Buffers move in the forward pass; the result moves them back if the step is not to be."""
        return self.buffers.remember()

    def merge_buffers(self, group: Group) -> None:
        """Level what each rank's batch normalisation gathered, by samples seen since the last."""
        current = self.progress.merged_step == self.progress.step
        if group.size == 1 or not self.buffers.tensors or current:
            return
        self.buffers.merge(group, self.samples_since_merge)
        self.samples_since_merge = 0.0
        self.progress.merged_step = self.progress.step

    def among(self, group: Group, ghost: bool) -> AbstractContextManager[None]:
        """A step with the others: where layers meet those of other ranks, they do so within."""
        return nullcontext() if self.meeting is None else self.meeting.held(group, ghost)


def build_worker(
    job: Job,
    model: nn.Module,
    task: Task,
    device: torch.device,
    rate: Callable[[int], float] | None = None,
) -> Worker:
    """A replica with fresh weights in the job's precision, on its device."""
    dtype = torch.float64 if job.train.precision == "fp64" else torch.float32
    model = model.to(device=device, dtype=dtype)
    model.train()
    meeting = synchronise(model) if job.train.batchnorm == "sync" else None
    forward = torch.compile(model) if job.train.compile else model
    optimizer = build_optimizer(job.train, model.parameters(), device)
    stream.pack(model_state(model), {})  # raises now what would else end the first checkpoint
    return Worker(
        job=job,
        model=model,
        forward=forward,
        moving=(Moving(optimizer, [p for p in model.parameters() if p.requires_grad]),),
        task=task,
        exam=task,
        device=device,
        dtype=dtype,
        buffers=moving_buffers(model),
        normed=bool(norms(model)),
        meeting=meeting,
        rate=rate,
    )


def model_state(model: nn.Module) -> dict[str, Tensor]:
    """Each tensor once, under its first name (tied weights have two), buffers included."""
    kept = set(model.state_dict(keep_vars=True))
    tensors: dict[str, Tensor] = dict(model.named_parameters())
    tensors |= {k: v for k, v in model.named_buffers() if k in kept}
    return tensors


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
