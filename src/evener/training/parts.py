"""What a script prepares: models, optimizers and schedules, and the replica made of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from evener import usercode
from evener.checkpoint import stream
from evener.config.schema import Job
from evener.engine.batchnorm import norms, synchronise
from evener.engine.buffers import moving_buffers
from evener.engine.kept import Kept, Stateful
from evener.engine.task import Task
from evener.engine.worker import Moving, Worker, model_state
from evener.errors import ScriptMistaken


@dataclass(slots=True)
class Parts:
    """In the order in which they were prepared."""

    models: list[nn.Module] = field(default_factory=list)
    optimizers: list[Optimizer] = field(default_factory=list)
    schedules: list[LRScheduler] = field(default_factory=list)
    kept: dict[str, Stateful] = field(default_factory=dict)

    def add(self, thing: object, device: torch.device) -> None:
        match thing:
            case nn.Module():
                self.models.append(plain(thing.to(device)))
            case Optimizer():
                self.optimizers.append(thing)
            case LRScheduler() if not isinstance(thing, ReduceLROnPlateau):
                self.schedules.append(thing)
            case _:
                raise wrong(
                    f"run.prepare was given a {type(thing).__name__}",
                    "give it models, optimizers, and schedulers that follow the step alone",
                )

    def worker(self, job: Job, task: Task, exam: Task | None, device: torch.device) -> Worker:
        """The replica: all models as one, and what moves them."""
        if not self.models or not self.optimizers:
            raise wrong(
                "the loop begins, and no model and optimizer are prepared",
                "model, optimizer = run.prepare(model, optimizer)",
            )
        model = self._model()
        stream.pack(model_state(model), {})  # raises now what would else end the first checkpoint
        return Worker(
            job=job,
            model=model,
            forward=model,
            moving=self._moving(),
            task=task,
            exam=exam or task,
            device=device,
            dtype=None,
            buffers=moving_buffers(model),
            normed=bool(norms(model)),
            meeting=synchronise(model) if job.train.batchnorm == "sync" else None,
            kept=Kept(self._kept()),
            committed=self._committed,
        )

    def _model(self) -> nn.Module:
        """One as it is: what is exported loads into it. Several by the names of their kinds."""
        if len(self.models) == 1:
            return self.models[0]
        kinds = [type(model).__name__ for model in self.models]
        numbered = Counter(kinds)
        names = [k if numbered[k] == 1 else f"{k}{i}" for i, k in enumerate(kinds)]
        return nn.ModuleDict(dict(zip(names, self.models, strict=True)))

    def _moving(self) -> tuple[Moving, ...]:
        known = {p for model in self.models for p in model.parameters()}
        owned: set[nn.Parameter] = set()
        found = []
        for optimizer in self.optimizers:
            own = [p for group in optimizer.param_groups for p in group["params"]]
            if not known.issuperset(own):
                raise wrong(
                    f"the {type(optimizer).__name__} moves parameters of no prepared model",
                    "give run.prepare every model, and build the optimizer of their parameters",
                )
            if not owned.isdisjoint(own):
                raise wrong(
                    "two optimizers move one parameter", "give each parameter to one of them"
                )
            owned.update(own)
            found.append(Moving(optimizer, [p for p in own if p.requires_grad]))
        return tuple(found)

    def _kept(self) -> dict[str, Stateful]:
        own: dict[str, Stateful] = {
            f"optimizer {i}": Settings(optimizer) for i, optimizer in enumerate(self.optimizers)
        }
        own |= {f"schedule {i}": cast(Stateful, s) for i, s in enumerate(self.schedules)}
        return own | self.kept

    def _committed(self) -> None:
        for schedule in self.schedules:
            schedule.step()


class Settings:
    """Of an optimizer, what is no tensor of a parameter: rates that a schedule moved, counts."""

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer

    def state_dict(self) -> dict[str, Any]:
        groups = self._optimizer.param_groups
        settings = [{k: v for k, v in g.items() if k != "params"} for g in groups]
        return {"settings": settings, "numbers": self._numbers()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for group, told in zip(self._optimizer.param_groups, state["settings"], strict=True):
            group.update(told)
        for parameter, told in zip(self._parameters(), state["numbers"], strict=True):
            if told:
                self._optimizer.state[parameter].update(told)

    def _numbers(self) -> list[dict[str, Any]]:
        states = (self._optimizer.state.get(p, {}) for p in self._parameters())
        return [
            {k: v for k, v in state.items() if not isinstance(v, torch.Tensor)} for state in states
        ]

    def _parameters(self) -> Sequence[nn.Parameter]:
        return [p for group in self._optimizer.param_groups for p in group["params"]]


def plain(model: nn.Module) -> nn.Module:
    """What torch.compile has wrapped: it owns the parameters, by the names they always had."""
    inner = getattr(model, "_orig_mod", model)
    assert isinstance(inner, nn.Module)
    return inner


def wrong(what: str, fix: str) -> ScriptMistaken:
    """A script that uses the interface as it cannot be used, with the line that did."""
    return ScriptMistaken(what, where=usercode.calling_line(), fix=fix)
