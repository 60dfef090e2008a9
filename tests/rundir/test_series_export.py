"""All numbers of a run as tables: complete, in order, whole or not there."""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import pyarrow.parquet  # type: ignore[import-untyped]
import pytest
from tests import synthetic_run
from tests.synthetic_run import Script

from evener import errors
from evener.events import Event, RankTimed, Record, StepCommitted, Validated
from evener.rundir import series_export
from evener.rundir.history import TIMINGS
from evener.rundir.series_export import Format
from evener.rundir.store import Store

FORMATS = [Format.csv, Format.parquet]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "run.db", write=True) as opened:
        yield opened


def committed(step: int, loss: float) -> StepCommitted:
    return StepCommitted(step, 0, 32 * step, loss, 32.0, 32, 1e-3, None, 0.5, 1)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_number_is_a_row(store: Store, tmp_path: Path) -> None:
    events: list[Event] = [
        committed(1, 0.1), committed(2, math.nan), Validated(2, 0, 0.25, 9.0, {}, 0.1, True)
    ]  # fmt: skip
    store.append(Record(event, 1000.0 + n, "a", n) for n, event in enumerate(events))
    file = tmp_path / "out" / "demo.csv"
    written = series_export.write(store, file)
    assert written == {file: 9, tmp_path / "out" / "demo-ranks.csv": 0}
    found = rows(file)
    assert list(found[0]) == ["step", "time", "samples", "name", "value"]
    assert [tuple(row.values()) for row in found if "loss" in row["name"]] == [
        ("1", "1000.0", "32", "loss", "0.1"),
        ("2", "1001.0", "64", "loss", ""),
        ("2", "1002.0", "64", "validation.loss", "0.25"),
    ]
    assert {row["name"] for row in found} == {
        "loss", "lr", "samples_per_s", "seconds", "validation.loss"
    }  # fmt: skip


def test_each_report_of_a_rank_is_a_row(store: Store, tmp_path: Path) -> None:
    report = RankTimed(1, 4, 3, 16, 300.0, 0.01, 0.05, 0.1, 0.02, 0.01, 0.2, 2**40)
    store.append([Record(report, 1000.0, "a", 1), Record(replace(report, rank=0), 1001.0, "a", 2)])
    series_export.write(store, tmp_path / "demo.csv")
    found = rows(tmp_path / "demo-ranks.csv")
    assert list(found[0]) == ["rank", "step", "time", *TIMINGS]
    assert [row["rank"] for row in found] == ["0", "1"]
    told = {f.name: getattr(report, f.name) for f in fields(report)}
    for name in TIMINGS:
        assert found[1][name] == "" if told[name] is None else float(found[1][name]) == told[name]


@pytest.mark.parametrize("form", FORMATS)
def test_more_rows_than_a_page_are_all_there_in_order(
    store: Store, tmp_path: Path, form: Format
) -> None:
    steps = range(1, series_export.PAGE + 100)
    events = (Validated(step, 0, 1 / step, 1.0, {}, 0.1, False) for step in steps)
    store.append(Record(event, 1.0, "a", n) for n, event in enumerate(events))
    file = tmp_path / f"out.{form}"
    assert series_export.write(store, file, form)[file] == len(steps)
    if form is Format.csv:
        assert [int(row["step"]) for row in rows(file)] == list(steps)
        assert [float(row["value"]) for row in rows(file)] == [1 / step for step in steps]
    else:
        table = pyarrow.parquet.read_table(file)
        assert table["step"].to_pylist() == list(steps)
        assert table["value"].to_pylist() == [1 / step for step in steps]


def test_parquet_has_the_same_as_csv_with_types(store: Store, tmp_path: Path) -> None:
    store.append(synthetic_run.records(Script(steps=60)))
    series_export.write(store, tmp_path / "a.csv")
    series_export.write(store, tmp_path / "b.parquet", Format.parquet)
    for end in ("", "-ranks"):
        told = rows(tmp_path / f"a{end}.csv")
        table = pyarrow.parquet.read_table(tmp_path / f"b{end}.parquet")
        assert table.column_names == list(told[0])
        texts = [[_text(v) for v in row.values()] for row in table.to_pylist()]
        assert texts == [[_text(v) for v in row.values()] for row in told]
    types = dict(zip(table.column_names, map(str, table.schema.types), strict=True))
    assert (types["rank"], types["step"], types["step_s"]) == ("int64", "int64", "double")


def _text(value: object) -> str:
    """A number however it is written."""
    try:
        return repr(float(str(value)))
    except ValueError:
        return "" if value is None else str(value)


@pytest.mark.parametrize("form", FORMATS)
def test_a_run_without_numbers_has_tables_without_rows(
    store: Store, tmp_path: Path, form: Format
) -> None:
    written = series_export.write(store, tmp_path / f"x.{form}", form)
    assert list(written.values()) == [0, 0]
    assert all(path.is_file() for path in written)


def test_parquet_without_its_package_is_named_and_leaves_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(errors.ExtraMissing, match="pyarrow") as caught:
        series_export.write(store, tmp_path / "new" / "x.parquet", Format.parquet)
    assert "evener[parquet]" in caught.value.fix
    assert list((tmp_path / "new").iterdir()) == []


def test_a_table_that_was_there_is_replaced_whole(store: Store, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("old\n" * 1000)
    series_export.write(store, tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text() == "step,time,samples,name,value\n"
