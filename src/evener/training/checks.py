"""What a script says to the interface, held to what it may say; and what it must leave alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from evener.config.schema import Job
from evener.training.parts import wrong


def check_loss(loss: Any, count: Any, what: str) -> None:
    """A sum of one number that learns, over some samples."""
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        raise wrong(
            f"{what} was given {_seen(loss)} as a loss",
            'give it the sum over the samples as one number: reduction="sum"',
        )
    if not loss.requires_grad:
        raise wrong(
            f"the loss given to {what} depends on nothing that learns",
            "compute it from the model's output, and not under torch.no_grad()",
        )
    if not float(count) > 0:
        raise wrong(f"{what} was given {count!r} as a count", "give it how many were summed up")


def guard(optimizer: Optimizer, allowed: Callable[[], bool]) -> None:
    """What the engine does is not to be done by the script as well."""

    def before(*_: Any) -> None:
        if not allowed():
            raise wrong("optimizer.step() was called by the script", "remove it: run.step does it")

    def refuse(*_: Any, **__: Any) -> None:
        what = "optimizer.zero_grad() was called by the script"
        raise wrong(what, "remove it: run.step does it")

    optimizer.register_step_pre_hook(before)
    optimizer.zero_grad = refuse  # type: ignore[method-assign]


def clipped(job: Job, clip_norm: float | None) -> Job:
    """With the script's own limit, where the job has none."""
    if clip_norm is None or "clip_norm" in job.train.model_fields_set:
        return job
    return job.model_copy(update={"train": job.train.model_copy(update={"clip_norm": clip_norm})})


def decided(
    job: Job, global_batch: int | None, epochs: int | None, steps: int | None, workers: int | None
) -> Job:
    """The job goes before the script; what neither says has its usual value."""
    train, data = job.train, job.data
    changed: dict[str, Any] = {}
    if train.steps is None and train.epochs is None:
        if (epochs is None) == (steps is None):
            raise wrong(
                "run.batches is to know how long it goes on", "give it epochs=3 or steps=1000"
            )
        changed = {"epochs": epochs, "steps": steps}
    if global_batch is not None and "global_batch" not in train.model_fields_set:
        changed["global_batch"] = global_batch
    for name, value in changed.items():
        if value is not None and (not isinstance(value, int) or value < 1):
            raise wrong(f"{name} is {value!r}", "it takes a whole number, 1 or more")
    if workers is not None:
        data = data.model_copy(update={"workers": workers})
    return job.model_copy(update={"train": train.model_copy(update=changed), "data": data})


def _seen(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    return f"a {type(value).__name__}"
