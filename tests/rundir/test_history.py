"""Charts of the record: the same as if every number were looked at, and quick all the same."""

from __future__ import annotations

import contextlib
import itertools
import math
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from tests import synthetic_run
from tests.synthetic_run import Script

from evener.events import (
    Alert,
    Event,
    RankTimed,
    Record,
    RunStarted,
    StepCommitted,
    Validated,
)
from evener.rundir import tables
from evener.rundir.history import TIMINGS, History, Series
from evener.rundir.store import Store

NAME = "validation.loss"
Numbers = dict[int, tuple[float, float]]  # time and value, by step
NUMBERS = itertools.count(1)


def record(event: Event) -> Record:
    number = next(NUMBERS)
    return Record(event, 1000.0 + number, "a00/1", number)


def validated(step: int, loss: float) -> Validated:
    return Validated(step, 0, loss, 1.0, {}, 0.1, False)


def committed(step: int, loss: float = 0.5) -> StepCommitted:
    return StepCommitted(step, 0, 32 * step, loss, 32.0, 32, 1e-3, None, 0.1, 1)


def timed(rank: int, step: int, steps: int = 1, step_s: float = 0.2) -> RankTimed:
    """Odd ranks tell of their processor and their temperature."""
    told = (0.5 + step % 3 / 10, 40.0 + step % 7) if rank % 2 else (None, None)
    event = RankTimed(rank, step, steps, 16, 300.0, 0.01, 0.05, 0.1, 0.02, 0.01, step_s, step)
    return replace(event, cpu_share=told[0], temperature_c=told[1])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "run.db", write=True) as opened:
        yield opened


@pytest.fixture
def history(store: Store) -> History:
    return History(store)


@contextlib.contextmanager
def fresh() -> Iterator[Store]:
    """For a test that runs many times."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Store.open(Path(folder) / "run.db", write=True) as opened,
    ):
        yield opened


# ------------------------------------------------------------------ held against a model

SEGMENTS = st.tuples(
    st.integers(0, 3000) | st.integers(0, 300_000),  # its first step
    st.integers(1, 120),  # how many
    st.sampled_from([1, 1, 3, 17, 900]),  # so far apart
    st.booleans(),  # is settled then
)
ASKED = st.tuples(st.integers(0, 2000), st.none() | st.integers(0, 300_000), st.integers(1, 12))


def value_of(number: int) -> float:
    if number % 11 == 3:
        return math.nan
    return math.inf if number % 13 == 5 else 10 * math.sin(number)


@settings(max_examples=60)
@given(told=st.lists(SEGMENTS, max_size=6), asked=st.lists(ASKED, min_size=1, max_size=4))
def test_any_history_gives_the_chart_of_all_its_numbers(
    told: list[tuple[int, int, int, bool]], asked: list[tuple[int, int | None, int]]
) -> None:
    numbers: Numbers = {}
    with fresh() as store:
        for first, count, apart, settled in told:
            steps = range(first, first + count * apart, apart)
            records = [record(validated(step, value_of(step + first))) for step in steps]
            store.append(records)
            for step, each in zip(steps, records, strict=True):
                numbers[step] = (each.time, value_of(step + first))
            if settled:
                store.settle()
            for begin, last, points in [*asked, (0, None, 3)]:
                found = History(store).series(NAME, begin, last, points)
                check(found, numbers, (begin, math.inf if last is None else last), points)


def check(found: Series, numbers: Numbers, asked: tuple[int, float], points: int) -> None:
    steps = sorted(step for step in numbers if asked[0] <= step <= asked[1])
    assert len(found.step) <= points
    assert found.step[-1:] == steps[-1:]
    joined: list[int] = []
    before = -1
    for n, step in enumerate(found.step):
        inside = [numbers[s] for s in steps if before < s <= step]
        values = [value for _, value in inside if math.isfinite(value)]
        assert found.time[n] == max(time for time, _ in inside)
        assert found.low[n] == min(values, default=None)
        assert found.high[n] == max(values, default=None)
        mean = sum(values) / len(values) if values else None
        assert found.mean[n] == (None if mean is None else pytest.approx(mean, abs=1e-9))
        joined.append(len(inside))
        before = step
    assert found.exact == all(count == 1 for count in joined)
    assert len(steps) > points or joined == [1] * len(steps)


@settings(max_examples=40)
@given(told=st.lists(SEGMENTS, max_size=5), points=st.integers(1, 12))
def test_times_of_ranks_are_means_by_steps_whatever_was_told_again(
    told: list[tuple[int, int, int, bool]], points: int
) -> None:
    reports: dict[int, dict[int, RankTimed]] = {0: {}, 1: {}}
    with fresh() as store:
        for first, count, apart, settled in told:
            for rank, step in itertools.product((0, 1), range(first, first + count)):
                report = timed(rank, step * apart, 1 + (step + first) % 4, math.cos(step) + 2)
                store.append([record(report)])
                reports[rank][report.step] = report
            if settled:
                store.settle()
            found = History(store).timings(points=points)
            assert set(found) == {0, 1}
            for rank, columns in found.items():
                check_times(columns, reports[rank], points)


def check_times(
    columns: dict[str, list[float | None]], reports: dict[int, RankTimed], points: int
) -> None:
    assert set(columns) == {"step", "time", *TIMINGS}
    assert len(columns["step"]) <= points
    assert columns["step"][-1] == max(reports)
    before: float = -1
    for n, step in enumerate(columns["step"]):
        assert step is not None
        inside = [report for s, report in reports.items() if before < s <= step]
        weights = sum(report.steps for report in inside)
        assert columns["steps"][n] == weights
        assert columns["memory_bytes"][n] == max(report.memory_bytes for report in inside)
        mean = sum(report.step_s * report.steps for report in inside) / weights
        assert columns["step_s"][n] == pytest.approx(mean)
        assert columns["share"][n] == pytest.approx(16)
        if inside[0].cpu_share is None:
            assert columns["cpu_share"][n] is None
        else:
            share = sum((report.cpu_share or 0.0) * report.steps for report in inside) / weights
            assert columns["cpu_share"][n] == pytest.approx(share)
        before = step


# ------------------------------------------------------------------------------- series


def test_a_long_chart_has_most_of_the_points_asked_for_and_every_spike(
    store: Store, history: History
) -> None:
    losses = {step: 2.0 + math.sin(step / 500) for step in range(1, 20_001)}
    losses |= {7777: 99.0, 15_001: -99.0}
    store.append([record(validated(step, loss)) for step, loss in losses.items()])
    for _ in range(2):
        found = history.series(NAME, points=100)
        assert 90 <= len(found.step) <= 100
        assert not found.exact
        assert max(v for v in found.high if v is not None) == 99.0
        assert min(v for v in found.low if v is not None) == -99.0
        store.settle()


def test_a_settled_chart_is_read_from_blocks(
    store: Store, history: History, tmp_path: Path
) -> None:
    store.append([record(validated(step, float(step))) for step in range(10_000)])
    store.settle()
    before = history.series(NAME, points=10)
    with sqlite3.connect(tmp_path / "run.db") as other:
        assert other.execute("SELECT count(*) FROM metric_marks").fetchone() == (0,)
        other.execute("DELETE FROM metrics WHERE step BETWEEN 1000 AND 9000")
    other.close()
    assert history.series(NAME, points=10) == before


def test_a_part_of_a_chart_is_finer_until_each_step_is_shown(
    store: Store, history: History
) -> None:
    store.append([record(validated(step, float(step))) for step in range(5000)])
    store.settle()
    part = history.series(NAME, 1000, 1999, points=50)
    assert part.step[-1] == 1999
    assert part.low[0] == 1000.0
    near = history.series(NAME, 1003, 1042, points=50)
    assert near.exact
    assert near.step == list(range(1003, 1043))
    assert near.low == near.high == near.mean == [float(s) for s in near.step]


def test_names_are_all_series_there_are(store: Store, history: History) -> None:
    assert history.names() == []
    store.append([record(replace(committed(1), metrics={"accuracy": 0.5}, skipped=True))])
    store.append([record(Validated(1, 0, 0.5, 1.0, {"accuracy": 0.5}, 0.1, False))])
    assert history.names() == [
        "accuracy", "loss", "lr", "samples", "samples_per_s", "seconds", "skipped",
        "validation.accuracy", "validation.loss",
    ]  # fmt: skip


def test_a_name_that_nobody_told_has_no_points(history: History) -> None:
    found = history.series("nothing")
    assert (found.step, found.time, found.samples, found.low) == ([], [], [], [])
    assert found.exact


def test_limits_that_make_no_sense_have_no_points(store: Store, history: History) -> None:
    store.append([record(validated(5, 1.0))])
    assert history.series(NAME, 9, 3).step == []
    assert history.series(NAME, 2**63 - 1, 2**63 - 1).step == []
    assert history.series(NAME, points=0).step == [5]


# ------------------------------------------------------------------------------ samples


def test_samples_go_with_every_point_of_a_step(store: Store, history: History) -> None:
    store.append([record(committed(step)) for step in range(1, 501)])
    assert history.series("loss", 1, 3).samples == [32, 64, 96]
    joined = history.series("loss", points=10)
    assert joined.samples == [32 * step for step in joined.step]


def test_samples_at_steps_that_were_not_recorded(store: Store, history: History) -> None:
    store.append([record(committed(step)) for step in (10, 20)])
    store.append([record(validated(step, 0.5)) for step in (0, 10, 15, 25)])
    assert history.series(NAME).samples == [None, 320, 480, 640]


# ------------------------------------------------------------------------------ timings


def test_the_reports_of_each_rank(store: Store, history: History) -> None:
    store.append([record(timed(1, 1)), record(timed(0, 2)), record(timed(1, 3, step_s=math.inf))])
    found = history.timings()
    assert list(found) == [0, 1]
    assert found[1]["step"] == [1, 3]
    assert found[1]["step_s"] == [0.2, None]
    assert found[0]["memory_bytes"] == [2]
    assert found[0]["temperature_c"] == [None]
    assert history.timings(first=2, last=2)[1]["step"] == []


# ----------------------------------------------------------------------------- timeline


def test_the_timeline_has_what_is_worth_a_sentence(store: Store, history: History) -> None:
    told = list(synthetic_run.records(Script(steps=60)))
    store.append(told)
    shown = history.timeline()
    kinds = {type(r.event).__name__ for _, r in shown}
    assert {"RunStarted", "GenerationFormed", "CheckpointWritten", "RunEnded"} <= kinds
    assert not kinds & {"RankTimed", "SpeedsFitted", "MachineLoad"}
    steps = [r for _, r in shown if type(r.event).__name__ == "StepCommitted"]
    assert len(steps) <= 2 * sum(type(r.event).__name__ == "GenerationFormed" for _, r in shown)
    assert [seq for seq, _ in shown] == sorted(seq for seq, _ in shown)
    numbers = {r.number for _, r in shown}
    assert [r for r in told if r.number in numbers] == [r for _, r in shown]


def test_the_timeline_goes_back_page_by_page(store: Store, history: History) -> None:
    for n in range(10):
        store.append([record(Alert("note", str(n))), record(committed(n)), record(timed(0, n))])
    last = history.timeline(limit=3)
    assert [r.event for _, r in last] == [Alert("note", t) for t in "789"]
    earlier = history.timeline(before=last[0][0], limit=3)
    assert [r.event for _, r in earlier] == [Alert("note", t) for t in "456"]
    assert history.timeline(before=0) == []


# ---------------------------------------------------------------- records of other times


def test_a_record_that_is_not_there_yet_has_no_charts(tmp_path: Path) -> None:
    with Store.open(tmp_path / "run.db", write=False) as reader:
        history = History(reader)
        assert (history.names(), history.ranks(), history.timings()) == ([], [], {})
        assert history.series("loss").step == []
        assert history.timeline() == []


def old(path: Path, steps: int) -> None:
    """As a version without blocks made it."""
    db = sqlite3.connect(path)
    with db:
        for statement in tables.SCHEMA:
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {tables.APPLICATION}")
        db.execute(f"PRAGMA user_version = {tables.FORMAT}")
        rows = [(step, "loss", float(step), 1.0) for step in range(1, steps + 1)]
        db.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?)", rows)
    db.close()


def test_an_old_record_is_read_as_it_is(tmp_path: Path) -> None:
    old(tmp_path / "run.db", 5000)
    with Store.open(tmp_path / "run.db", write=False) as reader:
        found = History(reader).series("loss", points=10)
        assert (found.step[-1], found.low[0], found.high[-1]) == (5000, 1.0, 5000.0)
        assert found.samples == [None] * len(found.step)
        assert History(reader).timings() == {}


def test_an_old_record_that_goes_on_is_whole(tmp_path: Path) -> None:
    old(tmp_path / "run.db", 5000)
    with Store.open(tmp_path / "run.db", write=True) as store:
        history = History(store)
        marked = history.series("loss", points=10)
        store.settle()
        assert history.series("loss", points=10) == marked
        store.append([record(committed(5001, 7000.0)), record(timed(0, 5001))])
        found = history.series("loss", points=10)
        assert (found.step[-1], found.high[-1]) == (5001, 7000.0)
        assert list(history.timings()) == [0]
    started = RunStarted("demo", "demo", "gpt", "text", 1, 1, 32, True, "local")
    with Store.open(tmp_path / "run.db", write=True) as store:  # opened again: nothing is lost
        store.append([record(started)])
        assert History(store).series("loss", points=10) == found


def test_whatever_writes_a_number_the_chart_has_it(tmp_path: Path, store: Store) -> None:
    store.append([record(validated(step, 1.0)) for step in range(2000)])
    store.settle()
    with sqlite3.connect(tmp_path / "run.db") as other:
        other.execute("INSERT OR REPLACE INTO metrics VALUES (1000, ?, 50.0, 1.0)", (NAME,))
    other.close()
    assert 50.0 in History(store).series(NAME, points=4).high
