"""On a machine with a CUDA device: the same mathematics, alone and beside CPU ranks."""

from __future__ import annotations

from pathlib import Path

import pytest

from evener.config.schema import Job
from tests.engine.rehearsal import Stage, job
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


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_autocast_learns(tmp_path: Path, precision: str) -> None:
    wanted = job(train={"precision": precision, "steps": 60})
    with Stage(wanted, tmp_path, ["cuda:0"]) as stage:
        stage.form(stage.players)
        stage.finish(stage.players)
        losses = [e["loss"] for e in stage.players[0].link.events("StepCommitted")]
    assert losses[-1] < losses[0]
