"""A bench in the real engine: every rank, machine and link is told of, and nothing is learned."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evener.engine import profile
from evener.placement import BENCH
from evener.rank import hardware
from evener.rank.hardware import Hardware
from tests.engine.rehearsal import Stage, job

FOUND = Hardware("cpu", 1, 1e9, {"fp32": 1e9, "fp16": float("nan")}, None, 1e8, "fp16: none")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "ROUND_S", 0.02)
    monkeypatch.setattr(hardware, "measure", lambda *_: FOUND)


def benched(stage: Stage) -> None:
    for player in stage.players:
        player.training.purpose = BENCH


def test_a_bench_tells_of_ranks_machine_and_links_and_leaves_the_weights(tmp_path: Path) -> None:
    with Stage(job(), tmp_path, 2) as stage:
        benched(stage)
        one, other = stage.players
        before = one.weights()
        stage.form(stage.players)
        done = stage.finish(stage.players)
        assert [(d.outcome, d.step) for d in done] == [("finished", 0)] * 2
        for player in stage.players:
            (found,) = player.link.events("RankProfiled")
            assert found["rank"] == player.rank
            assert found["samples"][:3] == [1, 2, 4]
            assert len(found["seconds"]) == len(found["samples"])
            assert found["per_sample_s"] > 0
            assert found["fixed_s"] > 0  # the optimizer alone takes time
            assert found["micro_batch"] in found["samples"]
            assert player.link.events("StepCommitted") == []
        (machine,) = one.link.events("MachineProfiled")  # they share it
        assert machine["matmul_flop_per_s"] == {"fp32": 1e9, "fp16": None}
        assert other.link.events("MachineProfiled") == []
        ways = {(e["from_rank"], e["to_rank"]) for e in one.link.events("LinkMeasured")}
        assert ways == {(0, 1), (1, 0)}
        assert all(torch.equal(before[k], v) for k, v in one.weights().items())
        assert not list(stage.run.checkpoints.iterdir())


def test_alone_there_are_no_links(tmp_path: Path) -> None:
    with Stage(job(), tmp_path, 1) as stage:
        benched(stage)
        stage.form(stage.players)
        stage.finish(stage.players)
        (player,) = stage.players
        assert len(player.link.events("RankProfiled")) == 1
        assert player.link.events("LinkMeasured") == []


def test_a_stop_that_one_rank_hears_ends_it_on_all(tmp_path: Path) -> None:
    with Stage(job(), tmp_path, 2) as stage:
        benched(stage)
        stage.players[1].link.stop_asked = "enough"
        stage.form(stage.players)
        assert [d.outcome for d in stage.finish(stage.players)] == ["stopped", "stopped"]


def test_who_must_make_room_for_a_newcomer_measures_again(tmp_path: Path) -> None:
    with Stage(job(), tmp_path, 2) as stage:
        benched(stage)
        stage.form(stage.players)
        stage.players[0].link.halt_asked = True
        stage.form(stage.players)  # they stand, and no longer have to halt
        assert [d.outcome for d in stage.finish(stage.players)] == ["finished", "finished"]


def test_a_size_that_memory_does_not_do_for_ends_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rehearse(worker: object, source: object, samples: int, micro_batch: object) -> float:
        if samples > 4:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return 0.01

    monkeypatch.setattr(profile, "rehearse", rehearse)
    with Stage(job(), tmp_path, 1) as stage:
        benched(stage)
        stage.form(stage.players)
        stage.finish(stage.players)
        (found,) = stage.players[0].link.events("RankProfiled")
        assert found["samples"] == [1, 2, 4]
        assert found["note"] == "there is no memory for more"


def test_any_other_failure_is_the_rank_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rehearse(*_: object) -> float:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(profile, "rehearse", rehearse)
    with Stage(job(), tmp_path, 1) as stage:
        benched(stage)
        stage.form(stage.players)
        with pytest.raises(RuntimeError, match="shapes"):
            stage.finish(stage.players)
