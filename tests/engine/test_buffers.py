"""Statistics of several ranks become those of all they saw; what is undone is undone whole."""

from __future__ import annotations

import copy

import torch
from torch import nn

from evener.engine.buffers import moving_buffers
from evener.rank.group import Group
from tests.rank.ring import in_group


def net() -> nn.Sequential:
    model = nn.Sequential(nn.BatchNorm1d(3), nn.BatchNorm1d(3, affine=False))
    model.register_buffer("level", torch.ones(2))
    model.register_buffer("table", torch.arange(3))
    model.register_buffer("passing", torch.zeros(1), persistent=False)
    return model.double()


def test_a_variance_is_merged_as_that_of_the_mixture() -> None:
    """Two ranks that each saw all of their samples at once: as if one had seen all of them."""
    torch.manual_seed(0)
    counts = (30, 10)
    seen = [torch.randn(n, 3, dtype=torch.float64) * (i + 1) + i for i, n in enumerate(counts)]

    def work(group: Group) -> dict[str, torch.Tensor]:
        model = net()
        layer, own = model[0], seen[group.index]
        assert isinstance(layer, nn.BatchNorm1d)
        assert layer.running_mean is not None
        assert layer.running_var is not None
        layer.running_mean.copy_(own.mean(0))
        layer.running_var.copy_(own.var(0, correction=0))
        model.get_buffer("level").fill_(float(group.index))
        layer.get_buffer("num_batches_tracked").fill_(7 - 4 * group.index)
        moving_buffers(model).merge(group, counts[group.index])
        return model.state_dict()

    one, two = in_group(2, work)
    every = torch.cat(seen)
    torch.testing.assert_close(one["0.running_mean"], every.mean(0), rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(
        one["0.running_var"], every.var(0, correction=0), rtol=1e-14, atol=1e-14
    )
    assert one["level"].tolist() == [0.25, 0.25]
    assert int(one["0.num_batches_tracked"]) == 6
    assert all(torch.equal(one[k], two[k]) for k in one)


def test_nobody_saw_anything() -> None:
    def work(group: Group) -> dict[str, torch.Tensor]:
        model = net()
        model.get_buffer("level").fill_(float(group.index))
        moving_buffers(model).merge(group, 0.0)
        return model.state_dict()

    assert [r["level"].tolist() for r in in_group(2, work)] == [[0, 0], [1, 1]]


def test_all_that_a_forward_pass_moves_is_put_back() -> None:
    model = net()
    buffers, before = moving_buffers(model), copy.deepcopy(model.state_dict())
    for _ in range(2):
        undo = buffers.remember()
        model(torch.randn(4, 3, dtype=torch.float64))
        assert int(model.get_buffer("0.num_batches_tracked")) == 1
        undo()
        assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_what_is_no_statistic_is_left_alone() -> None:
    buffers = moving_buffers(net())
    assert sorted(buffers.variances) == ["0.running_var", "1.running_var"]
    assert "table" not in buffers.tensors
    assert "passing" not in buffers.tensors
    assert moving_buffers(nn.Linear(2, 2)).tensors == {}
    assert list(moving_buffers(nn.BatchNorm1d(2)).variances) == ["running_var"]
