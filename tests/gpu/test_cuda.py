"""On a machine with a CUDA device: the same mathematics, alone and beside CPU ranks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evener.config.schema import Job
from evener.engine.compare import TOLERANCE
from tests.engine.rehearsal import Stage, job
from tests.engine.test_batchnorm import images
from tests.engine.test_loop import difference, train

pytestmark = pytest.mark.gpu


def on(devices: list[str], wanted: Job, folder: Path) -> dict[str, object]:
    with Stage(wanted, folder, devices) as stage:
        stage.form(stage.players)
        stage.finish(stage.players)
        return {k: v.cpu() for k, v in stage.players[0].weights().items()}


def test_a_gpu_computes_what_a_cpu_computes(tmp_path: Path) -> None:
    alone = train(job(), tmp_path / "cpu", 1)[0]
    assert difference(on(["cuda:0"], job(), tmp_path / "gpu"), alone) < 1e-10


def test_gpu_and_cpu_ranks_share_a_batch(tmp_path: Path) -> None:
    uneven = job(balance={"policy": "fixed", "weights": [17, 7]})
    alone = train(job(), tmp_path / "cpu", 1)[0]
    assert difference(on(["cuda:0", "cpu"], uneven, tmp_path / "mixed"), alone) < 1e-10


@pytest.mark.parametrize(
    ("devices", "weights"),
    [
        (["cuda:0"], [24]),
        (["cuda:0", "cpu"], [17, 7]),
        (["cuda:0", "cpu"], [0, 24]),
        (["cpu", "cuda:0", "cpu"], [1, 22, 1]),
    ],
)
def test_batch_normalisation_in_sync_is_that_of_one_cpu(
    tmp_path: Path, devices: list[str], weights: list[int]
) -> None:
    alone = train(images(steps=20), tmp_path / "cpu", 1)[0]
    wanted = images(steps=20, weights=weights, batchnorm="sync")
    assert difference(on(devices, wanted, tmp_path / "mixed"), alone) < 1e-10


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_replicas_of_two_kinds_drift_by_rounding_only(tmp_path: Path, precision: str) -> None:
    wanted = job(train={"precision": precision, "steps": 40, "compare_every_steps": 10})
    with Stage(wanted, tmp_path, ["cpu", "cuda:0", "cpu"]) as stage:
        stage.form(stage.players)
        stage.finish(stage.players)
        events = stage.players[0].link.events("ReplicasCompared")
        of_cpus = [stage.players[i].weights() for i in (0, 2)]
    assert events
    for event in events:
        assert event["resent"] == []
        assert event["drift"][0] == event["drift"][2] == 0
        assert event["drift"][1] < TOLERANCE
    assert all(torch.equal(v, of_cpus[1][k]) for k, v in of_cpus[0].items())


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_autocast_learns(tmp_path: Path, precision: str) -> None:
    wanted = job(train={"precision": precision, "steps": 60})
    with Stage(wanted, tmp_path, ["cuda:0"]) as stage:
        stage.form(stage.players)
        stage.finish(stage.players)
        losses = [e["loss"] for e in stage.players[0].link.events("StepCommitted")]
    assert losses[-1] < losses[0]


def test_a_step_that_the_gpu_has_no_memory_for_is_done_in_pieces(tmp_path: Path) -> None:
    alone = train(job(), tmp_path / "cpu", 1)[0]
    large = job(train={"loss": "tests.engine.losses:squares_in_large_rooms"})
    with Stage(large, tmp_path / "gpu", ["cuda:0"]) as stage:
        stage.form(stage.players)
        for _ in (24, 12):  # each too many: the group is formed anew with half of it
            stage.form(stage.players)
        stage.finish(stage.players)
        assert stage.players[0].training.fits == 6
        found = {k: v.cpu() for k, v in stage.players[0].weights().items()}
    assert difference(found, alone) < 1e-10


def test_a_compiled_model_learns_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch._inductor.config.compile_threads", 1)  # no processes that stay
    alone = train(job(), tmp_path / "cpu", 1)[0]
    with Stage(job(train={"compile": True}), tmp_path / "gpu", ["cuda:0", "cpu"]) as stage:
        stage.form(stage.players)
        stage.finish(stage.players)
        found = {k: v.cpu() for k, v in stage.players[0].weights().items()}
    assert difference(found, alone) < 1e-10
