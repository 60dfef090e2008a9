"""Replicas that differ are found, told apart by how far, and mended."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from evener.config.schema import Job
from evener.engine import round as rounds
from evener.engine.compare import SLICES, TOLERANCE, apart, due, judge, likeness
from evener.engine.worker import Worker
from tests.engine.rehearsal import Stage, job
from tests.engine.test_loop import difference


def net(seed: int = 0, kind: torch.dtype = torch.float32) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(37, 50), nn.Linear(50, 3, bias=False)).to(kind)


def look(model: nn.Module) -> list[float]:
    return [float(v) for v in likeness(model.parameters())]


def changed(change: Callable[[torch.Tensor], object]) -> list[float]:
    model = net()
    with torch.no_grad():
        change(model.get_parameter("0.weight"))
    return look(model)


# ------------------------------------------------------------------------------- likeness


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16])
def test_the_same_weights_look_the_same(kind: torch.dtype) -> None:
    assert look(net(kind=kind)) == look(net(kind=kind))
    assert look(net(kind=kind))[0] != look(net(seed=1, kind=kind))[0]


def test_the_norm_is_that_of_all_weights() -> None:
    squares = sum(float(p.detach().double().square().sum()) for p in net().parameters())
    assert look(net())[1] == pytest.approx(squares, rel=1e-12)


@pytest.mark.parametrize("bit", [0, 12, 30])
def test_a_single_flipped_bit_is_seen(bit: int) -> None:
    def flip(weight: torch.Tensor) -> None:
        weight.view(torch.int32)[17, 5] ^= 1 << bit

    assert changed(flip)[0] != look(net())[0]


def test_two_weights_that_changed_places_are_seen() -> None:
    def swap(weight: torch.Tensor) -> None:
        weight[0, :2] = weight[0, :2].flip(0)

    assert apart(look(net()), changed(swap)) > TOLERANCE


def test_the_distance_is_about_that_of_the_weights() -> None:
    plain = net().get_parameter("0.weight").detach()
    norm = math.sqrt(look(net())[1])
    torch.manual_seed(5)
    noise = torch.randn_like(plain) * 1e-3
    noisy = apart(look(net()), changed(lambda w: w.add_(noise)))
    assert noisy == pytest.approx(float(noise.norm()) / norm, rel=0.7)
    single = apart(look(net()), changed(lambda w: w[3, 3].add_(0.25)))
    assert single == pytest.approx(0.25 / norm, rel=1e-2)


# ------------------------------------------------------------------------------- judgement


def row(digest: float, shift: float = 0.0) -> list[float]:
    return [digest, 1.0, *[shift] * SLICES]


def test_alike_to_the_bit() -> None:
    verdict = judge([row(7), row(7), row(7)])
    assert verdict.alike
    assert (verdict.source, verdict.drift, verdict.astray) == (0, (0.0, 0.0, 0.0), ())


def test_a_little_drift_is_told_and_left() -> None:
    verdict = judge([row(7), row(8, 1e-7)])
    assert not verdict.alike
    assert verdict.astray == ()
    assert 0 < verdict.drift[1] < TOLERANCE


def test_of_two_the_lead_holds() -> None:
    assert judge([row(7), row(8, 1.0)]).source == 0
    assert judge([row(7), row(8, 1.0)]).astray == (1,)


def test_of_more_the_majority_holds_even_against_the_lead() -> None:
    verdict = judge([row(7, 1.0), row(8), row(9, 1e-8)])
    assert (verdict.source, verdict.astray) == (1, (0,))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_endlessly_far(value: float) -> None:
    verdict = judge([row(7), row(8, value)])
    assert verdict.drift == (0.0, math.inf)
    assert verdict.astray == (1,)


def test_when_it_is_due() -> None:
    assert [s for s in range(11) if due(5, s)] == [5, 10]


# ------------------------------------------------------------------------------- in training


def compared(**keys: Any) -> Job:
    return job(train={"steps": 20, "compare_every_steps": 5, **keys})


def train_perturbed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, by: float, victim: int = 1, ranks: int = 2
) -> Stage:
    """In its seventh step all weights of `victim` become larger by the factor 1 + `by`."""
    place: Any = rounds
    real = place.take_step

    def perturbed(worker: Worker, *rest: Any) -> Any:
        outcome = yield from real(worker, *rest)
        hurt = stage.players[victim].training.worker
        if by and worker is hurt and worker.progress.step == 6:
            with torch.no_grad():
                for parameter in worker.parameters:
                    parameter.mul_(1 + by)
        return outcome

    monkeypatch.setattr(place, "take_step", perturbed)
    with Stage(compared(), folder, ranks) as stage:
        stage.form(stage.players)
        stage.finish(stage.players)
    return stage


def told(stage: Stage, kind: str) -> list[dict[str, Any]]:
    return [e for p in stage.players for e in p.link.events(kind)]


def test_like_replicas_are_told_of_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = train_perturbed(tmp_path, monkeypatch, 0.0)
    (event,) = told(stage, "ReplicasCompared")
    assert (event["step"], event["ranks"], event["drift"]) == (5, [0, 1], [0, 0])
    assert told(stage, "Alert") == []


def test_a_replica_astray_takes_over_the_leads_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = train_perturbed(tmp_path, monkeypatch, 1e-3)
    first, found = told(stage, "ReplicasCompared")
    assert (first["step"], found["step"], found["resent"]) == (5, 10, [1])
    assert found["drift"][0] == 0
    assert found["drift"][1] > 1e-4
    (alert,) = told(stage, "Alert")
    assert alert["rank"] == 1
    assert "rank 1 had drifted away" in alert["text"]
    one, two = (p.training.worker.snapshot() for p in stage.players)
    assert all(torch.equal(v, two.tensors[k]) for k, v in one.tensors.items())  # and Adam's too
    assert one.meta == two.meta


def test_drift_of_rounding_is_counted_and_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = train_perturbed(tmp_path, monkeypatch, 1e-9)
    events = told(stage, "ReplicasCompared")
    assert [e["step"] for e in events] == [5, 10, 15, 20]
    assert all(e["resent"] == [] and 1e-10 < e["drift"][1] < 1e-7 for e in events[1:])
    assert told(stage, "Alert") == []
    one, two = (p.weights() for p in stage.players)
    assert 0 < difference(one, two) < 1e-7


def test_a_lead_astray_is_mended_by_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = train_perturbed(tmp_path, monkeypatch, math.inf, victim=0, ranks=3)
    found = told(stage, "ReplicasCompared")[1]
    assert (found["resent"], found["drift"][1:]) == ([0], [0, 0])
    assert found["drift"][0] is None  # endlessly far
    assert all(torch.isfinite(v).all() for v in stage.players[0].weights().values())


def test_alone_there_is_nothing_to_compare(tmp_path: Path) -> None:
    with Stage(compared(), tmp_path, 1) as stage:
        stage.form(stage.players)
        stage.finish(stage.players)
        assert told(stage, "ReplicasCompared") == []
