"""A script is the same mathematics on any ranks, through breaks and joins, and alone."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from evener.config.schema import Job
from evener.errors import CheckpointMismatch, UnlikeOthers
from evener.orders import Done
from evener.rundir.layout import RunDir
from evener.training.run import Run
from tests.engine.rehearsal import Player, Stage
from tests.engine.test_loop import difference
from tests.training import scripts
from tests.training.stage import Script, ScriptPlayer, job, staged, train

TOLERANCE = 1e-12


def weights(script: Script, folder: Path, ranks: int, **tables: Any) -> dict[str, Any]:
    stage = train(script, folder, ranks, **tables)
    found = [player.weights() for player in stage.players]
    assert all(difference(found[0], other) == 0 for other in found)
    return found[0]


@pytest.mark.parametrize(
    "script", [scripts.classify, scripts.accumulate, scripts.compete, scripts.flow]
)
def test_any_split_gives_the_weights_of_one_process(tmp_path: Path, script: Script) -> None:
    alone = weights(script, tmp_path / "alone", 1)
    fixed = {"policy": "fixed", "weights": [15, 9, 0]}  # the third has a ghost
    split = weights(script, tmp_path / "split", 3, balance=fixed)
    assert difference(alone, split) < TOLERANCE


def test_both_forms_are_one(tmp_path: Path) -> None:
    short = weights(scripts.classify, tmp_path / "short", 2, train={"micro_batch": 5})
    long = weights(scripts.accumulate, tmp_path / "long", 1)
    assert difference(short, long) < TOLERANCE


@pytest.mark.parametrize("script", [scripts.classify, scripts.compete, scripts.flow])
def test_a_break_repeats_its_step_and_a_joiner_takes_all_of_the_state(
    tmp_path: Path, script: Script
) -> None:
    longer = {"train": {"steps": 150}}
    alone = weights(script, tmp_path / "alone", 1, **longer)
    with staged(script, tmp_path / "broken", 3, **longer) as stage:
        first, second, third = stage.players
        stage.form([first, second])
        while first.training.worker.progress.step < 20:
            time.sleep(0.001)
        second.link.breaker()  # as a death would, in the middle of a step
        stage.form([first, third])
        stage.finish([first, third])
        kept = [p.training.worker.kept.packed() for p in (first, third)]
        for player in (first, third):
            assert difference(player.weights(), alone) < 1e-11
    assert kept[0][1] == kept[1][1]
    assert all(torch.equal(v, kept[1][0][k]) for k, v in kept[0][0].items())


def test_it_resumes_where_it_stopped(tmp_path: Path) -> None:
    alone = weights(scripts.classify, tmp_path / "alone", 1)
    with staged(scripts.classify, tmp_path / "run", 2) as stage:
        stage.players[1].link.stop_asked = "enough for today"
        stage.form(stage.players)
        (stopped, _) = stage.finish(stage.players)
    assert stopped.outcome == "stopped"
    assert 0 < stopped.step < 12
    assert difference(weights(scripts.classify, tmp_path / "run", 1), alone) < TOLERANCE


def test_what_it_logs_and_measures_is_of_all_ranks(tmp_path: Path) -> None:
    one = train(scripts.classify, tmp_path / "one", 1).players[0].link
    three = train(scripts.classify, tmp_path / "three", 3).players[0].link
    for kind in ("StepCommitted", "Validated"):
        for a, b in zip(one.events(kind), three.events(kind), strict=True):
            assert a["loss"] == pytest.approx(b["loss"])
            assert a["metrics"] == pytest.approx(b["metrics"])
    committed = one.events("StepCommitted")
    assert set(committed[0]["metrics"]) == {"right"}
    assert [e["lr"] for e in committed][3:5] == pytest.approx([0.01, 0.001])
    assert one.events("Validated")[-1]["metrics"].keys() == {"accuracy"}


def test_a_stream_ends_where_it_ends(tmp_path: Path) -> None:
    stage = train(scripts.flow, tmp_path, 1)
    committed = stage.players[0].link.events("StepCommitted")
    assert [e["samples"] for e in committed] == [12, 12, 12, 12, 2] * 3
    assert [e["epoch"] for e in committed] == [0] * 5 + [1] * 5 + [2] * 5


def test_a_loop_that_is_left_early_ends_the_run(tmp_path: Path) -> None:
    def script(run: Run) -> None:
        scripts.classify(run, until=5)

    stage = train(script, tmp_path, 2)
    assert [p.done for p in stage.players] == [Done("finished", 5)] * 2
    assert (tmp_path / "model.safetensors").exists()


def test_a_run_that_resumes_with_other_data_is_told_so(tmp_path: Path) -> None:
    train(scripts.classify, tmp_path, 1, train={"steps": 3})
    with pytest.raises(CheckpointMismatch, match="global_batch: 12 here, and 24 where"):
        train(scripts.classify, tmp_path, 1, train={"steps": 9, "global_batch": 12})


def test_who_joins_with_other_data_is_refused_alone(tmp_path: Path) -> None:
    def make(job: Job, rank: int, run: RunDir, _: str) -> Player:
        samples = {0: 100, 1: 99}[rank]
        return ScriptPlayer(partial(scripts.classify, samples=samples), job, rank, run)

    with Stage(job(train={"steps": 40}), tmp_path, 2, make) as stage:
        first, second = stage.players
        stage.form([first])
        first.link.halt_asked = True
        stage.form([first, second])
        with pytest.raises(UnlikeOthers, match="data set: 99 here, and 100 where"):
            second.join()
        first.link.breaker()  # as the other's death would
        stage.form([first])
        assert stage.finish([first]) == [Done("finished", 40)]
