"""The learning rate is a function of the step; decay spares what has one dimension."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from evener.config.schema import Train
from evener.engine.optimizer import build_optimizer, learning_rate


def train(**keys: Any) -> Train:
    return Train.model_validate({"steps": 100, "lr": 1.0, **keys})


def test_constant() -> None:
    assert {learning_rate(train(), s, 100) for s in range(100)} == {1.0}


def test_warm_up_rises_to_the_top() -> None:
    rates = [learning_rate(train(warmup_steps=4), s, 100) for s in range(6)]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_falling_schedules_end_at_the_least_rate(schedule: str) -> None:
    config = train(schedule=schedule, min_lr=0.1, warmup_steps=10)
    rates = [learning_rate(config, s, 100) for s in range(101)]
    assert rates[10] == pytest.approx(1.0)
    assert rates[55] == pytest.approx(0.55)
    assert rates[100] == pytest.approx(0.1)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_decay_may_end_before_the_run() -> None:
    config = train(schedule="linear", decay_steps=50, min_lr=0.2)
    assert learning_rate(config, 50, 100) == learning_rate(config, 99, 100) == 0.2


def test_steps_multiply() -> None:
    config = train(schedule="step", step_size=10, gamma=0.5)
    assert [learning_rate(config, s, 100) for s in (0, 9, 10, 25)] == [1.0, 1.0, 0.5, 0.25]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)],
)
def test_each_optimizer_is_built_with_its_keys(name: str, kind: type) -> None:
    config = train(
        optimizer=name, lr=0.5, weight_decay=0.3, momentum=0.8, nesterov=True, betas=[0.5, 0.6],
        eps=1e-3,
    )  # fmt: skip
    layer = nn.Linear(3, 2)
    optimizer = build_optimizer(config, layer.parameters(), torch.device("cpu"))
    assert isinstance(optimizer, kind)
    decays = [(g["params"][0].dim(), g["weight_decay"]) for g in optimizer.param_groups]
    assert decays == [(2, 0.3), (1, 0.0)]
    group = optimizer.param_groups[0]
    assert group["lr"] == 0.5
    if name == "sgd":
        assert (group["momentum"], group["nesterov"]) == (0.8, True)
    else:
        assert (tuple(group["betas"]), group["eps"]) == ((0.5, 0.6), 1e-3)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)],
)
def test_each_moves_weights_as_torchs_own_does(name: str, kind: Any) -> None:
    config = train(optimizer=name, lr=0.1, momentum=0.9)
    plain, own = nn.Linear(3, 2), nn.Linear(3, 2)
    own.load_state_dict(plain.state_dict())
    one = build_optimizer(config, plain.parameters(), torch.device("cpu"))
    two = kind([{**group} for group in _groups(one, plain, own)])
    steps: list[object] = []
    for optimizer in (one, two):
        optimizer.register_step_pre_hook(lambda *_: steps.append(torch.is_grad_enabled()))
    for number in range(5):
        for layer, optimizer in ((plain, one), (own, two)):
            layer(torch.full((4, 3), float(number))).square().sum().backward()
            optimizer.step()
    assert all(map(torch.equal, plain.parameters(), own.parameters()))
    assert len(steps) == 10


def _groups(of: torch.optim.Optimizer, plain: nn.Module, own: nn.Module) -> list[dict[str, Any]]:
    """The same, for the parameters of the other layer."""
    other = dict(zip(plain.parameters(), own.parameters(), strict=True))
    return [{**g, "params": [other[p] for p in g["params"]]} for g in of.param_groups]


@pytest.mark.slow
def test_none_of_them_imports_torchs_compiler() -> None:
    """Which it would do before its first step: seconds, in every rank."""
    code = """
import sys
import torch
from evener.config.schema import Train
from evener.engine.optimizer import build_optimizer
for name in ("sgd", "adam", "adamw"):
    layer = torch.nn.Linear(3, 2)
    config = Train.model_validate({"steps": 1, "optimizer": name})
    optimizer = build_optimizer(config, layer.parameters(), torch.device("cpu"))
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
assert "torch._dynamo" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
