"""Gradients over ranks of any share are those of one process on the whole batch."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from evener.engine.exchange import open_exchange, partition
from evener.rank.group import Group
from tests.rank.ring import in_group

BATCH = 24


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 700), nn.Tanh(), nn.Linear(700, 600), nn.Tanh(), nn.Linear(600, 3)
    ).double()


def data() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    numbers = torch.randn(BATCH, 9, generator=generator, dtype=torch.float64)
    return numbers[:, :6], numbers[:, 6:]


def loss_sum(net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.mse_loss(net(x), y, reduction="sum")


def reference() -> list[torch.Tensor]:
    net = model()
    loss_sum(net, *data()).backward()
    return [p.grad for p in net.parameters() if p.grad is not None]


@pytest.mark.parametrize("split", [(17, 7), (24, 0), (0, 24), (9, 8, 7), (24,)])
@pytest.mark.parametrize("pieces", [1, 3])
def test_sums_are_those_of_one_process(split: tuple[int, ...], pieces: int) -> None:
    net, (x, y) = model(), data()
    starts = [sum(split[:i]) for i in range(len(split))]

    def work(group: Group) -> list[torch.Tensor]:
        own = copy.deepcopy(net)
        exchange = open_exchange(group, list(own.parameters()))
        start, n = starts[group.index], split[group.index]
        control = torch.tensor([float(n)], dtype=torch.float64)
        parts = [p for p in torch.arange(start, start + n).chunk(pieces) if len(p)]
        for part in parts[:-1]:
            loss_sum(own, x[part], y[part]).backward()
        exchange.begin(control)
        if parts:
            loss_sum(own, x[parts[-1]], y[parts[-1]]).backward()
        exchange.close_backward()
        exchange.finish()
        assert control.item() == BATCH
        exchange.close()
        return [torch.zeros(0) if p.grad is None else p.grad.clone() for p in own.parameters()]

    results = in_group(len(split), work)
    for gradients in results:
        for got, wanted in zip(gradients, reference(), strict=True):
            assert (got - wanted).abs().max() < 1e-11
    for gradients in results[1:]:  # bit for bit alike, or replicas would drift apart
        for a, b in zip(gradients, results[0], strict=True):
            assert torch.equal(a, b)


def test_a_parameter_nobody_reaches_is_zero_everywhere() -> None:
    def work(group: Group) -> torch.Tensor:
        used, unused = nn.Linear(2, 1), nn.Linear(2, 1)
        exchange = open_exchange(group, [*used.parameters(), *unused.parameters()])
        exchange.begin(torch.zeros(1, dtype=torch.float64))
        used(torch.ones(1, 2)).sum().backward()
        exchange.close_backward()
        exchange.finish()
        exchange.close()
        assert unused.weight.grad is not None
        return unused.weight.grad

    for gradient in in_group(2, work):
        assert torch.equal(gradient, torch.zeros(1, 2))


def test_buckets_hold_every_parameter_once_last_first() -> None:
    parameters = [nn.Parameter(torch.zeros(300_000)) for _ in range(5)]
    frozen = nn.Parameter(torch.zeros(3), requires_grad=False)
    parts = partition([*parameters, frozen])
    assert [id(p) for part in parts for p in part] == [id(p) for p in reversed(parameters)]
    assert len(parts) > 1


def test_types_do_not_share_a_bucket() -> None:
    mixed = [nn.Parameter(torch.zeros(4)), nn.Parameter(torch.zeros(4, dtype=torch.float64))]
    assert [len(p) for p in partition(mixed)] == [1, 1]
