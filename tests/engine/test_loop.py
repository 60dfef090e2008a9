"""A step is the same mathematics on any ranks, and no history of breaks changes the outcome."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from evener.checkpoint import disk
from evener.config.schema import Job
from evener.engine import round as rounds
from evener.engine import validation
from evener.engine.keeper import Keeper
from evener.errors import CodeReturnedWrong, Diverged
from evener.rank.group import GroupBroken
from evener.rundir import checkpoints
from tests.engine.rehearsal import Player, Stage, job

TOLERANCE = 1e-12


def train(job: Job, folder: Path, ranks: int) -> tuple[dict[str, Any], Stage]:
    with Stage(job, folder, ranks) as stage:
        stage.form(stage.players)
        stage.finish(stage.players)
        return stage.players[0].weights(), stage


def difference(a: dict[str, Any], b: dict[str, Any]) -> float:
    return max(float((a[k] - b[k]).abs().max()) for k in a)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return train(job(), tmp_path_factory.mktemp("alone"), 1)[0]


@pytest.mark.parametrize(
    ("weights", "micro_batch"),
    [([17, 7], None), ([24, 0], None), ([0, 24], None), ([9, 8, 7], None), ([17, 7], 3)],
)
def test_any_split_gives_the_weights_of_one_process(
    tmp_path: Path, alone: dict[str, Any], weights: list[int], micro_batch: int | None
) -> None:
    split = job(balance={"policy": "fixed", "weights": weights}, train={"micro_batch": micro_batch})
    with Stage(split, tmp_path, len(weights)) as stage:
        stage.form(stage.players)
        done = stage.finish(stage.players)
        assert [d.outcome for d in done] == ["finished"] * len(weights)
        for player in stage.players:
            assert difference(player.weights(), alone) < TOLERANCE
        first = stage.players[0].weights()
        for player in stage.players[1:]:  # replicas are bit for bit alike
            assert difference(player.weights(), first) == 0


def test_pausing_for_a_joiner_loses_nothing(tmp_path: Path, alone: dict[str, Any]) -> None:
    with Stage(job(), tmp_path, 3) as stage:
        first, second, third = stage.players
        generation = stage.form([first, second])
        assert generation.step == -1
        first.link.halt_asked = True  # one asks, and both stop at the same step
        generation = stage.form([first, second, third])
        assert generation.step > 0
        assert generation.members[generation.source].rank == 0
        stage.finish(stage.players)
        for player in stage.players:
            assert difference(player.weights(), alone) < TOLERANCE


def test_a_broken_group_repeats_its_step_and_no_other(tmp_path: Path) -> None:
    longer = job(train={"steps": 200})
    unbroken = train(longer, tmp_path / "unbroken", 1)[0]
    with Stage(longer, tmp_path / "broken", 3) as stage:
        first, second, third = stage.players
        stage.form(stage.players)
        while third.training.worker.progress.step < 20:
            time.sleep(0.001)
        third.link.breaker()  # as a death would, in the middle of a step
        generation = stage.form([first, second])
        assert 19 <= generation.step < 200  # the third may have been the first to end step 20
        done = stage.finish([first, second])
        assert {d.step for d in done} == {200}
        for player in (first, second):
            assert difference(player.weights(), unbroken) < 1e-11
        # The second says what the lead has not taken in before the break.
        told = (p.link.events("StepCommitted") for p in (first, second))
        assert {e["step"] for events in told for e in events} == {*range(1, 201)}


def break_after(
    monkeypatch: pytest.MonkeyPatch, where: Any, name: str, player: Player, step: int
) -> threading.Event:
    """Let `player` hear of a break right after `name` worked at `step`, which the others keep."""
    real, broke = getattr(where, name), threading.Event()

    def before(worker: Any) -> Any:
        return worker.snapshot() if worker is player.training.worker else None

    def after(worker: Any, snapshot: Any) -> None:
        if snapshot is not None and snapshot.step == step and not broke.is_set():
            worker.restore(snapshot)
            broke.set()
            raise GroupBroken("in the last moment")

    def called(worker: Any, *rest: Any) -> Any:
        snapshot = before(worker)
        result = real(worker, *rest)
        after(worker, snapshot)
        return result

    def driven(worker: Any, *rest: Any) -> Any:
        snapshot = before(worker)
        result = yield from real(worker, *rest)
        after(worker, snapshot)
        return result

    monkeypatch.setattr(where, name, driven if inspect.isgeneratorfunction(real) else called)
    return broke


@pytest.mark.parametrize("last", [0, 1])  # who of the two hears of the break: the lead, or not
@pytest.mark.parametrize(
    ("where", "name", "step"),
    [(rounds, "take_step", 19), (validation, "validate", 20), (rounds, "take_step", 39)],
)
def test_a_break_that_some_hear_of_too_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: Any, name: str, step: int, last: int
) -> None:
    all_due = job(
        train={"steps": 40},
        validation={"every_steps": 10},
        checkpoint={"every_steps": 20, "keep_last": 5},
    )
    unbroken = train(all_due, tmp_path / "unbroken", 1)[0]
    with Stage(all_due, tmp_path / "broken", 2) as stage:
        broke = break_after(monkeypatch, where, name, stage.players[last], step)
        stage.form(stage.players)
        assert broke.wait(60)
        stage.players[1 - last].link.breaker()
        stage.form(stage.players)
        stage.finish(stage.players)
        for player in stage.players:
            assert difference(player.weights(), unbroken) < TOLERANCE
    for kind, wanted in (("StepCommitted", range(1, 41)), ("Validated", (10, 20, 30, 40))):
        told = {e["step"] for p in stage.players for e in p.link.events(kind)}
        assert sorted(told) == list(wanted)
    kept = checkpoints.entries(tmp_path / "broken" / "checkpoints")
    assert {20, 40} <= {e.step for e in kept}


def test_a_checkpoint_that_died_with_its_lead_is_written_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last_breath = job(train={"steps": 40}, checkpoint={"every_steps": 20, "keep_best": 0})
    with Stage(last_breath, tmp_path, 2) as stage:
        first, second = stage.players
        save, died = Keeper.save, threading.Event()

        def die(keeper: Keeper, *rest: Any) -> None:
            if keeper is first.training.keeper:
                died.set()
                raise GroupBroken("the lead is killed while it writes")
            save(keeper, *rest)

        monkeypatch.setattr(Keeper, "save", die)
        stage.form(stage.players)
        assert died.wait(60)
        second.link.breaker()
        stage.form([second])
        stage.finish([second])
    assert [e.step for e in checkpoints.entries(tmp_path / "checkpoints")] == [20, 40]


@pytest.mark.parametrize("ranks", [1, 2, 5])
def test_a_stopped_run_resumes_on_any_number_of_ranks(
    tmp_path: Path, alone: dict[str, Any], ranks: int
) -> None:
    with Stage(job(), tmp_path, 3) as stage:
        stage.players[1].link.stop_asked = "enough for today"
        stage.form(stage.players)
        done = stage.finish(stage.players)
        assert {d.outcome for d in done} == {"stopped"}
        stopped_at = done[0].step
        assert 0 < stopped_at < 12
    with Stage(job(), tmp_path, ranks) as stage:
        stage.form(stage.players)
        stage.finish(stage.players)
        steps = [e["step"] for e in stage.players[0].link.events("StepCommitted")]
        assert steps == list(range(stopped_at + 1, 13))
        assert difference(stage.players[0].weights(), alone) < TOLERANCE


def test_the_record_tells_every_step_once_with_its_cursor(tmp_path: Path) -> None:
    _, stage = train(job(), tmp_path, 2)
    events = stage.players[0].link.events("StepCommitted")
    assert [e["step"] for e in events] == list(range(1, 13))
    # 100 samples an epoch: four batches of 24 and a tail of 4
    assert [e["samples"] for e in events[:6]] == [24, 24, 24, 24, 4, 24]
    assert events[-1]["cursor"] == sum(e["samples"] for e in events)
    assert not stage.players[1].link.events("StepCommitted")


def test_epochs_count_whole_passes(tmp_path: Path) -> None:
    _, stage = train(job(train={"steps": None, "epochs": 2}), tmp_path, 2)
    assert stage.players[0].training.worker.progress.cursor == 200


def test_validation_sees_every_sample_once(tmp_path: Path) -> None:
    jobs = job(validation={"every_steps": 5})
    _, one = train(jobs, tmp_path / "one", 1)
    _, three = train(jobs, tmp_path / "three", 3)
    a, b = (s.players[0].link.events("Validated") for s in (one, three))
    assert [e["step"] for e in a] == [e["step"] for e in b] == [5, 10, 12]
    for left, right in zip(a, b, strict=True):
        assert left["count"] == right["count"] == 30
        assert left["loss"] == pytest.approx(right["loss"], abs=1e-12)


def test_early_stopping_ends_the_run_for_all(tmp_path: Path) -> None:
    stubborn = job(
        train={"lr": 1e-12},
        validation={"every_steps": 1},
        early_stopping={"patience": 3, "min_delta": 0.1},
    )
    _, stage = train(stubborn, tmp_path, 2)
    assert {p.done.step for p in stage.players if p.done} == {4}
    assert {p.done.outcome for p in stage.players if p.done} == {"finished"}


def test_gradients_that_are_not_finite_are_skipped_by_all_and_counted(tmp_path: Path) -> None:
    bad = job(train={"loss": "tests.engine.losses:explodes", "max_skipped": 3})
    with Stage(bad, tmp_path, 2) as stage:
        before = stage.players[0].weights()
        stage.form(stage.players)
        for player in stage.players:
            with pytest.raises(Diverged):
                player.join()
            assert player.training.worker.progress.skipped == 3
            assert difference(player.weights(), before) == 0


def test_a_skipped_step_leaves_batch_statistics_alone(tmp_path: Path) -> None:
    bad = job(
        model={"name": "resnet18"},
        data={"name": "synthetic_image", "samples": 16, "validation_samples": 8, "size": 8},
        train={
            "global_batch": 8, "steps": 2, "precision": "fp32",
            "loss": "tests.engine.losses:explodes_on_labels",
        },
        validation={"at_end": False},
    )  # fmt: skip
    with Stage(bad, tmp_path, 1) as stage:
        before = stage.players[0].weights()
        stage.form(stage.players)
        stage.finish(stage.players)
        assert stage.players[0].training.worker.progress.skipped == 2
        after = stage.players[0].weights()
    changed = {k for k in before if before[k].is_floating_point() and (before[k] != after[k]).any()}
    assert not changed


def test_a_loss_of_the_users_own_is_summed_and_counted(tmp_path: Path) -> None:
    own = job(train={"loss": "tests.engine.losses:absolute"})
    weights, one = train(own, tmp_path / "one", 1)
    split, two = train(own, tmp_path / "two", 2)
    assert difference(weights, split) < TOLERANCE
    a = one.players[0].link.events("StepCommitted")[-1]
    b = two.players[0].link.events("StepCommitted")[-1]
    assert a["metrics"]["within"] == pytest.approx(b["metrics"]["within"])


def test_a_loss_that_is_a_mean_is_refused(tmp_path: Path) -> None:
    with Stage(job(train={"loss": "tests.engine.losses:a_mean"}), tmp_path, 1) as stage:
        stage.form(stage.players)
        with pytest.raises(CodeReturnedWrong, match="a_mean"):
            stage.players[0].join()


def test_checkpoints_fall_due_and_old_ones_go(tmp_path: Path) -> None:
    kept = job(checkpoint={"every_steps": 2, "keep_last": 2, "keep_best": 0})
    train(kept, tmp_path, 2)
    assert [e.step for e in checkpoints.entries(tmp_path / "checkpoints")] == [10, 12]


def test_a_disk_slower_than_checkpoints_fall_due_does_not_stop_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, slow = disk._write_file, threading.Event()

    def write_slowly(path: Path, blocks: Iterable[memoryview]) -> dict[str, Any]:
        assert slow.wait(120)
        return real(path, blocks)

    monkeypatch.setattr(disk, "_write_file", write_slowly)
    kept = job(checkpoint={"every_s": 0.001, "keep_best": 0}, train={"steps": 40})
    with Stage(kept, tmp_path, 2) as stage:
        stage.form(stage.players)
        deadline = time.monotonic() + 120
        while stage.players[0].training.worker.progress.step < 30:
            assert time.monotonic() < deadline, "training waits for the disk"
            time.sleep(0.01)
        slow.set()
        stage.finish(stage.players)
    assert checkpoints.entries(tmp_path / "checkpoints")[-1].step == 40


def test_a_checkpoint_that_a_person_asks_for_is_written_once(tmp_path: Path) -> None:
    """Whoever leads writes it; the others forget the ask with it."""
    kept = job(checkpoint={"every_s": 3600.0, "keep_last": 9, "keep_best": 0})
    with Stage(kept, tmp_path, 2) as stage:
        for player in stage.players:
            player.link.save_asked = True
        stage.form(stage.players)
        stage.finish(stage.players)
        assert not any(player.link.save_asked for player in stage.players)
    first, last = checkpoints.entries(tmp_path / "checkpoints")
    assert (last.step, first.step < 4) == (12, True)


def test_the_best_checkpoint_stays(tmp_path: Path) -> None:
    kept = job(
        checkpoint={"keep_last": 1, "keep_best": 1},
        validation={"every_steps": 3},
        train={"lr": 0.01},
    )
    _, stage = train(kept, tmp_path, 2)
    validated = stage.players[0].link.events("Validated")
    best = min(validated, key=lambda e: float(e["loss"]))["step"]
    assert {best, 12} == {e.step for e in checkpoints.entries(tmp_path / "checkpoints")}


def test_batch_statistics_are_levelled(tmp_path: Path) -> None:
    images = job(
        model={"name": "resnet18"},
        data={"name": "synthetic_image", "samples": 64, "validation_samples": 8, "size": 8},
        train={"global_batch": 16, "steps": 2, "precision": "fp32"},
    )
    _, stage = train(images, tmp_path, 2)
    one, two = (p.weights() for p in stage.players)
    buffers = [k for k in one if "running" in k]
    assert buffers
    assert all(torch.equal(one[k], two[k]) for k in buffers)
