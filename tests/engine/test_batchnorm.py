"""Batch normalisation: over all ranks it is that of one process, and one rank's own never fails."""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from evener.config.schema import Job
from evener.engine import batchnorm
from evener.engine.batchnorm import Meeting, spared, synchronise
from evener.engine.step import forward
from evener.engine.task import Piece
from evener.errors import BadCombination, CodeReturnedWrong
from evener.rank.group import Group, GroupBroken
from evener.shape import Shape
from tests.engine.nets import Branching
from tests.engine.rehearsal import Stage, job
from tests.engine.test_loop import difference, train
from tests.rank.ring import in_group

SHAPE = Shape("image", (3, 8, 8), 5)


def images(model: str = "branching", weights: list[int] | None = None, **keys: Any) -> Job:
    """Photographs of noise; four whole batches and a tail of four samples in an epoch."""
    return job(
        model={"name": f"tests.engine.nets:{model}"},
        data={"name": "synthetic_image", "samples": 100, "validation_samples": 16, "size": 8},
        train={"optimizer": "sgd", "lr": 0.01, **keys},
        balance={"policy": "fixed", "weights": weights} if weights else {"policy": "equal"},
    )


# ------------------------------------------------------------------------------- all ranks


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    """A hundred steps of torch's own layers on the whole batch."""
    return train(images(steps=100), tmp_path_factory.mktemp("alone"), 1)[0]


@pytest.mark.parametrize("weights", [[17, 7], [23, 1], [24, 0], [0, 13, 11], [24]])
def test_in_sync_any_split_gives_the_weights_of_one_process(
    tmp_path: Path, alone: dict[str, Tensor], weights: list[int]
) -> None:
    wanted = images(weights=weights, steps=100, batchnorm="sync")
    with Stage(wanted, tmp_path, len(weights)) as stage:
        stage.form(stage.players)
        stage.finish(stage.players)
        first = stage.players[0].weights()
        assert first.keys() == alone.keys()
        assert difference(first, alone) < 1e-12
        for player in stage.players[1:]:
            assert difference(player.weights(), first) == 0


def convolved(net: nn.Module, x: Tensor) -> Tensor:
    total: Tensor = (net(x) * torch.arange(5.0, dtype=x.dtype)).square().sum()
    return total


@pytest.mark.parametrize("split", [(17, 7), (24, 0), (1, 22, 1)])
def test_gradients_and_averages_are_those_of_the_whole_batch(split: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    plain, x = Branching(SHAPE).double(), torch.randn(24, 3, 8, 8, dtype=torch.float64) + 5
    nets = [copy.deepcopy(plain) for _ in split]
    convolved(plain, x).backward()
    starts = [sum(split[:i]) for i in range(len(split))]

    def work(group: Group) -> nn.Module:
        net, start, n = nets[group.index], starts[group.index], split[group.index]
        meeting = synchronise(net)
        assert meeting is not None
        with meeting.held(group, ghost=n == 0):
            convolved(net, x[start : start + n] if n else x[:1]).backward()
        if not n:
            net.zero_grad()
        return net

    done = in_group(len(split), work)
    steepest = max(float(p.grad.abs().max()) for p in plain.parameters() if p.grad is not None)
    for name, parameter in plain.named_parameters():
        parts = [dict(n.named_parameters())[name].grad for n in done]
        total = sum((p for p in parts if p is not None), torch.zeros_like(parameter))
        assert parameter.grad is not None
        assert (total - parameter.grad).abs().max() < 1e-12 * steepest
    for net in done:
        assert difference(dict(net.named_buffers()), dict(plain.named_buffers())) < 1e-14


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_short_numbers_lose_no_more_than_they_must(kind: torch.dtype) -> None:
    torch.manual_seed(0)
    x = (torch.randn(16, 4, 6, 6) * 0.1 + 100).to(kind)  # a variance far below the mean's square
    plain, synced = nn.BatchNorm2d(4), nn.Sequential(nn.BatchNorm2d(4))
    synchronise(synced)
    own, theirs = (x.clone().requires_grad_() for _ in range(2))
    wanted, got = plain(own), synced(theirs)
    assert got.dtype == wanted.dtype
    torch.testing.assert_close(got, wanted, atol=2e-2 if kind == torch.bfloat16 else 2e-3, rtol=0)
    for out in (wanted, got):
        out.float().square().sum().backward()
    assert theirs.grad is not None
    assert torch.isfinite(theirs.grad).all()


def test_names_and_tensors_stay_in_both_directions() -> None:
    plain, synced = Branching(SHAPE), Branching(SHAPE)
    synchronise(synced)
    synced.load_state_dict(plain.state_dict())
    plain.load_state_dict(synced.state_dict())
    synced.eval(), plain.eval()
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(synced(x), plain(x))


def test_what_is_trained_in_sync_goes_on_locally(tmp_path: Path) -> None:
    with Stage(images(steps=4, batchnorm="sync"), tmp_path, 2) as stage:
        stage.form(stage.players)
        stage.finish(stage.players)
    with Stage(images(steps=6), tmp_path, 3) as stage:
        stage.form(stage.players)
        assert {d.step for d in stage.finish(stage.players)} == {6}


def test_a_break_amid_the_layers_repeats_the_step_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = images(steps=30, batchnorm="sync")
    unbroken = train(wanted, tmp_path / "unbroken", 1)[0]
    real, sums = Meeting.sum, [0]

    def counted(meeting: Meeting, numbers: Tensor, place: int) -> Tensor:
        if meeting is second.training.worker.meeting:
            sums[0] += 1
            if sums[0] in (43, 90):  # once in a forward pass, once in a backward pass
                broken_in.append(place)
                second.link.breaker()
        return real(meeting, numbers, place)

    broken_in: list[int] = []
    with Stage(wanted, tmp_path / "broken", 2) as stage:
        second = stage.players[1]
        monkeypatch.setattr(Meeting, "sum", counted)
        for _ in range(3):
            stage.form(stage.players)
        stage.finish(stage.players)
        for player in stage.players:
            assert difference(player.weights(), unbroken) < 1e-12
        steps = [e["step"] for p in stage.players for e in p.link.events("StepCommitted")]
    assert sorted(set(steps)) == list(range(1, 31))
    assert len(broken_in) == 2
    assert min(broken_in) < 0 < max(broken_in)


def test_a_break_comes_out_of_backward_as_it_is() -> None:
    def work(group: Group) -> str:
        net = nn.Sequential(nn.BatchNorm2d(3))
        meeting = synchronise(net)
        assert meeting is not None
        try:
            with meeting.held(group, ghost=False):
                out = net(torch.randn(4, 3, 2, 2)).square().sum()
                if group.index == 0:
                    group.break_up()
                out.backward()
        except GroupBroken:
            return "broken"
        return "summed"

    assert in_group(2, work) == ["broken", "broken"]


def test_time_in_sums_is_no_work_of_ones_own(tmp_path: Path) -> None:
    class Slow(Branching):
        def forward(self, x: Tensor) -> Tensor:
            time.sleep(0.05)
            return super().forward(x)

    wanted = images(steps=6, batchnorm="sync")
    with Stage(wanted, tmp_path, 2) as stage:
        second = stage.players[1]
        second.training.worker.model.__class__ = Slow
        stage.form(stage.players)
        stage.finish(stage.players)
        fast, slow = (p.link.events("RankTimed")[-1] for p in stage.players)
    assert slow["forward_s"] > 0.05
    assert fast["forward_s"] + fast["backward_s"] < 0.04
    assert fast["wait_s"] > 0.03


def test_layers_in_different_orders_are_refused() -> None:
    def work(group: Group) -> str:
        net = nn.ModuleList([nn.BatchNorm2d(3), nn.BatchNorm2d(3)])
        meeting = synchronise(net)
        assert meeting is not None
        try:
            with meeting.held(group, ghost=False):
                net[group.index](torch.randn(4, 3, 2, 2))
        except CodeReturnedWrong as error:
            return error.what
        return "nothing was said"

    for said in in_group(2, work):
        assert "different orders" in said


def test_a_layer_of_ones_own_is_not_synchronised(tmp_path: Path) -> None:
    with pytest.raises(BadCombination, match="0 is a OfOnesOwn"):
        Stage(images("strange", batchnorm="sync"), tmp_path, 1)


def test_a_model_without_such_layers_goes_its_way(tmp_path: Path) -> None:
    wanted = job(train={"batchnorm": "sync"})
    assert difference(train(wanted, tmp_path / "sync", 2)[0], train(job(), tmp_path, 1)[0]) < 1e-12


# ------------------------------------------------------------------------------- one rank


@pytest.mark.parametrize("weights", [[23, 1], [24, 0], [8, 8, 8], [1, 1, 22]])
def test_shares_of_one_do_not_end_the_run(tmp_path: Path, weights: list[int]) -> None:
    with Stage(images(weights=weights, steps=10), tmp_path, len(weights)) as stage:
        stage.form(stage.players)
        assert {d.outcome for d in stage.finish(stage.players)} == {"finished"}
        told = stage.players[0].link.events("SharesChanged")[0]["shares"]
        assert 1 not in told
        first = stage.players[0].weights()
        for player in stage.players[1:]:  # what each counted itself is level again
            assert all(torch.equal(v, player.weights()[k]) for k, v in first.items())


def test_a_tail_of_a_single_sample_is_normalised_by_the_averages(tmp_path: Path) -> None:
    for mode in ("local", "sync"):
        wanted = images(steps=4, global_batch=33, batchnorm=mode)  # 33, 33, 33, 1
        with Stage(wanted, tmp_path / mode, 2) as stage:
            stage.form(stage.players)
            assert {d.outcome for d in stage.finish(stage.players)} == {"finished"}
            assert [e["samples"] for e in stage.players[0].link.events("StepCommitted")][-1] == 1


def test_only_layers_that_would_fail_are_spared() -> None:
    net = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.BatchNorm1d(12))
    with spared(net):
        net(torch.randn(1, 3, 2, 2))
    over_pixels, over_samples = net[0], net[2]
    assert isinstance(over_pixels, nn.BatchNorm2d)
    assert isinstance(over_samples, nn.BatchNorm1d)
    assert int(over_pixels.num_batches_tracked or 0) == 1
    assert int(over_samples.num_batches_tracked or 0) == 0
    assert all(module.training for module in net.modules())
    with pytest.raises(ValueError, match="more than 1 value"):
        net(torch.randn(1, 3, 2, 2))


def test_a_sample_alone_is_spared_in_a_compiled_model_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Stage(images(), tmp_path, 1) as stage:
        worker = stage.players[0].training.worker
        monkeypatch.setattr(worker, "forward", None)  # nobody may call it
        batch = stage.players[0].training.data.train.fetch(torch.tensor([3]).numpy(), 0)
        assert forward(worker, Piece(batch, 1, 0, 0, 0, 1)).count == 1


def test_what_it_sees_is_noted_once(tmp_path: Path) -> None:
    with Stage(images(steps=40), tmp_path, 2) as stage:
        stage.form(stage.players)
        stage.players[1].link.halt_asked = True
        stage.form(stage.players)
        stage.finish(stage.players)
        notes = [e["text"] for p in stage.players for e in p.link.events("Alert")]
    assert notes == ["batch normalisation sees 12 samples at a time (train.micro_batch)"]


def test_a_job_that_cannot_be_in_sync_is_refused() -> None:
    for keys in ({"micro_batch": 8}, {"compile": True}):
        with pytest.raises(ValueError, match="batchnorm"):
            images(batchnorm="sync", **keys)
    assert images(batchnorm="sync", micro_batch=24).train.batchnorm == "sync"


def test_norms_are_found_by_name() -> None:
    assert list(batchnorm.norms(Branching(SHAPE))) == ["norm", "again.1", "beside.1", "head.1"]
