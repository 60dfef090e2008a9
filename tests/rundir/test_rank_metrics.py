"""logs/rank_N_metrics.json: a list per rank, bounded, and right however late its losses come."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evener.events import RankTimed, Record, StepCommitted
from evener.rundir import rank_metrics
from evener.rundir.layout import RunDir
from evener.rundir.rank_metrics import RankMetrics
from evener.rundir.store import Store


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    made = RunDir(tmp_path / "demo")
    made.create()
    return made


@pytest.fixture
def store(run: RunDir) -> Iterator[Store]:
    with Store.open(run.db, write=True) as opened:
        yield opened


def committed(step: int, loss: float) -> Record:
    event = StepCommitted(step, 0, 32 * step, loss, 32.0, 32, 0.1, None, 0.1, 1)
    return Record(event, 1000.0 + step, "steps", step)


def timed(rank: int, step: int, steps: int = 1, step_s: float = 0.2) -> Record:
    event = RankTimed(rank, step, steps, 16, 300.0, 0.01, 0.05, 0.1, 0.02, 0.01, step_s, step)
    return Record(event, 1000.0 + step, f"rank-{rank}", step)


def read(run: RunDir, rank: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run.rank_metrics(rank).read_text())
    return found


def test_one_object_per_report_with_all_its_numbers(run: RunDir, store: Store) -> None:
    store.append([committed(1, 0.5), timed(0, 1), timed(1, 1), committed(2, 0.4), timed(0, 2)])
    RankMetrics(run, store).write()
    assert len(read(run, 1)) == 1
    assert read(run, 0)[1] == {
        "step": 2, "steps": 1, "loss": 0.4, "share": 16, "samples_per_s": 300.0, "data_s": 0.01,
        "forward_s": 0.05, "backward_s": 0.1, "exchange_s": 0.02, "optimizer_s": 0.01,
        "step_s": 0.2, "hidden_s": 0.0, "wait_s": 0.0, "predicted_s": 0.0, "memory_bytes": 2,
        "cpu_share": None, "throttled_share": None, "major_faults_per_s": None,
        "temperature_c": None,
    }  # fmt: skip


def test_a_loss_that_comes_after_the_report_is_put_in(run: RunDir, store: Store) -> None:
    metrics = RankMetrics(run, store)
    store.append([committed(1, 0.5), timed(0, 2)])
    metrics.write()
    assert [r["loss"] for r in read(run, 0)] == [0.5]
    store.append([committed(2, 0.25)])
    metrics.write()
    assert [r["loss"] for r in read(run, 0)] == [0.25]


def test_no_loss_yet_and_no_number_are_null(run: RunDir, store: Store) -> None:
    store.append([timed(0, 1), committed(2, math.nan), timed(0, 2, step_s=math.inf)])
    RankMetrics(run, store).write()
    first, second = read(run, 0)
    assert first["loss"] is None
    assert second["loss"] is None
    assert second["step_s"] is None


def test_nothing_new_is_not_written_again(run: RunDir, store: Store) -> None:
    metrics = RankMetrics(run, store)
    store.append([committed(1, 0.5), timed(0, 1)])
    metrics.write()
    run.rank_metrics(0).unlink()
    metrics.write()
    assert not run.rank_metrics(0).exists()
    store.append([timed(0, 2)])
    metrics.write()
    assert len(read(run, 0)) == 2


def test_a_long_run_is_halved_and_stays_in_sight(
    run: RunDir, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rank_metrics, "LIMIT", 8)
    metrics = RankMetrics(run, store)
    for step in range(1, 101):
        store.append([committed(step, 1 / step), timed(0, step, step_s=float(step))])
        metrics.write()
        assert len(read(run, 0)) < 8
    found = read(run, 0)
    assert sum(r["steps"] for r in found) == 100
    assert found[-1]["step"] == 100
    assert [r["loss"] for r in found] == [pytest.approx(1 / r["step"]) for r in found]
    mean = sum(r["step_s"] * r["steps"] for r in found) / 100
    assert mean == pytest.approx(50.5)
    assert max(r["memory_bytes"] for r in found) == 100


def test_what_a_system_tells_is_joined_where_it_told_both_times(
    run: RunDir, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rank_metrics, "LIMIT", 2)
    first, second = (timed(0, step, steps=step).event for step in (1, 3))
    assert isinstance(first, RankTimed)
    assert isinstance(second, RankTimed)
    told = [replace(first, cpu_share=1.0), replace(second, cpu_share=0.6, temperature_c=60.0)]
    store.append([Record(event, 1000.0, "r", n) for n, event in enumerate(told)])
    RankMetrics(run, store).write()
    [joined] = read(run, 0)
    assert joined["cpu_share"] == pytest.approx(0.7)
    assert joined["temperature_c"] == 60.0


def test_a_new_follower_writes_the_same(run: RunDir, store: Store) -> None:
    metrics = RankMetrics(run, store)
    for step in range(1, 20):
        store.append([committed(step, 1 / step), timed(0, step), timed(1, step)])
        metrics.write()
    before = read(run, 0), read(run, 1)
    RankMetrics(run, store).write()
    assert (read(run, 0), read(run, 1)) == before
