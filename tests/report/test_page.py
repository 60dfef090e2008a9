"""The page: what it says of a run, and that nothing in the run can turn it into something else."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

import pytest
from tests.report.reading import Read, check_is_harmless
from tests.synthetic_run import Script, records

from evener import state
from evener.report import Material, Told, charts, page
from evener.report.material import Numbers
from evener.rundir.history import Series
from evener.state import AlertView, CheckpointView, MachineView, RankView, RunState, TextView

STATE = state.fold(records(Script()))
STEPS = list(range(1, 401))
NASTY = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'--></style></svg></pre><iframe src=//evil.example>",
    "]]><!--<body onload=alert(1)>",
    "{{7*7}}${7*7}&lt;b&gt;&#60;u&#62;",
    "javascript:alert(1)",
    "\u202egpj.exe\x00\x1b[2J",
)


def series(name: str, values: Numbers, steps: list[int] | None = None, spread: float = 0) -> Series:
    steps = STEPS[: len(values)] if steps is None else steps
    low = [None if v is None else v - spread for v in values]
    high = [None if v is None else v + spread for v in values]
    times = [1_700_000_000.0 + step / 10 for step in steps]
    return Series(name, steps, times, [None] * len(steps), low, high, list(values), spread == 0)


def falling(count: int = 400, spread: float = 0) -> Series:
    return series("loss", [4.0 - 2.0 * n / count for n in range(count)], spread=spread)


def timings(steps: list[int], share: float, **parts: float) -> dict[str, list[float | None]]:
    each = {"share": share, "steps": 1.0, **{f"{name}_s": value for name, value in parts.items()}}
    made: dict[str, list[float | None]] = {n: [value] * len(steps) for n, value in each.items()}
    return made | {"step": list(map(float, steps))}


SPLIT = {"data": 0.01, "forward": 0.02, "backward": 0.03, "exchange": 0.01, "step": 0.1}


def material(**changes: Any) -> Material:
    whole = Material(
        state=STATE,
        curves={
            "loss": falling(),
            "validation.loss": series("validation.loss", [3.5, 2.5], [100, 300]),
            "lr": series("lr", [0.001] * 400),
            "samples_per_s": series("samples_per_s", [960.0] * 400),
            "seconds": series("seconds", [0.05, 0.15] * 200),
        },
        timings={0: timings(STEPS, 72.0, **SPLIT), 1: timings(STEPS, 24.0, **SPLIT)},
        told=(
            Told(1_700_000_012.0, "rank 2 lost: killed by signal 9", "warning", "RankLost"),
            Told(1_700_000_020.0, "checkpoint at step 200", "note", "CheckpointWritten", 200),
            Told(1_700_000_040.0, "finished at step 400", "good", "RunEnded", 400),
        ),
        job={"name": "demo", "train": {"global_batch": 96}},
    )
    return dataclasses.replace(whole, **changes)


def read(made: Material) -> Read:
    found = Read(page(made))
    check_is_harmless(found)
    return found


# ------------------------------------------------------------------------------- contents


def test_it_says_what_was_reached_and_when() -> None:
    found = read(material())
    assert found.all("h1")[0].text == "demo"
    assert found.all("p", "outcome")[0].text == "finished at step 400 of 400"
    labels = [element.text for element in found.all("dt")]
    values = dict(zip(labels, (element.text for element in found.all("dd")), strict=True))
    assert values["samples seen"] == "38,400"
    assert values["samples a second"] == "960"
    assert values["started"] == "2023-11-14 22:13:20 UTC"
    assert values["validation loss"].endswith("at step 400")
    assert values["best validation loss"].endswith("at step 300")
    assert values["skipped steps"] == "1"
    assert values["model"] == "model.safetensors"
    assert "finished at step 400" in found.section("What happened").text
    assert "rank 2 lost" in found.section("What happened").text
    assert '"global_batch": 96' in found.section("The job").text


def test_there_is_a_row_for_each_rank_machine_checkpoint_and_text() -> None:
    found = read(material())
    assert sum("tbody" in row.path for row in found.all("tr")) == (
        len(STATE.ranks) + len(STATE.machines) + len(STATE.checkpoints) + 3
    )
    assert "desk" in found.section("Machines").text
    assert "checkpoints/step_00000400" in found.section("Checkpoints").text
    assert "What light is this" in found.section("Texts").text


def test_an_error_comes_first_with_what_to_do_next() -> None:
    error = {"code": "E605", "what": "rank 1 ran out of memory", "where": "desk", "fix": "halve it"}
    failed = dataclasses.replace(STATE, phase="failed", error=error)
    found = read(material(state=failed))
    [shown] = found.all("section", "error")
    assert shown.text == "E605 rank 1 ran out of memorywhere: desknext: halve it"
    assert found.elements.index(shown) < found.elements.index(found.all("h2")[0])


@pytest.mark.parametrize("phase", ["starting", "training", "stopping", "stopped"])
def test_a_run_may_be_anywhere(phase: Any) -> None:
    now = dataclasses.replace(STATE, phase=phase, ended_at=None)
    assert read(material(state=now)).all("p", "outcome")[0].text.startswith(phase)


def test_a_run_without_a_record_is_a_page_too() -> None:
    found = read(Material(RunState()))
    assert [element.text for element in found.all("h2")] == []
    assert found.all("figure") == []


def test_the_same_material_is_the_same_page() -> None:
    assert page(material()) == page(material())


def test_secrets_of_the_job_are_not_sent_around() -> None:
    job = {
        "env": {"WANDB_API_KEY": "abc123", "NCCL_DEBUG": "INFO", "my_password": "abc123"},
        "data": {"url": "https://me:abc123@example.org/x"},
    }
    shown = read(material(job=job)).section("The job").text
    assert "abc123" not in shown
    assert '"NCCL_DEBUG": "INFO"' in shown
    assert "https://***@example.org/x" in shown


# --------------------------------------------------------------------------------- charts


def coordinates(path: str) -> list[tuple[float, float]]:
    pairs = re.findall(r"(-?[\d.]+) (-?[\d.]+)", path)
    return [(float(x), float(y)) for x, y in pairs]


def test_the_loss_falls_from_the_left_to_the_right_edge() -> None:
    found = read(material())
    lines = [e for e in found.all("path", "line") if "ul" not in e.path]
    training, validation = (coordinates(line.attributes["d"]) for line in lines[:2])
    assert len(training) == 400
    assert training[0][0] == charts.LEFT
    assert training[-1][0] == charts.RIGHT
    assert training[0][1] < training[-1][1]  # higher is smaller
    assert len(validation) == 2
    assert len(found.all("circle", "dot")) == 2


def test_a_chart_says_in_words_what_it_shows() -> None:
    found = read(material())
    about = found.all("desc")[0].text
    assert "The loss of training: 4.000 at step 1, 2.005 at step 400" in about
    assert "the lowest is 2.500 at step 300" in about
    titles = [element.text for element in found.all("figcaption")]
    assert titles == ["Loss", "lr", "Throughput by rank", "Where the time goes"]


def test_what_happened_is_drawn_where_it_happened() -> None:
    found = read(material())
    lost = found.all("line", "mark")[0]
    across = charts.LEFT + (charts.RIGHT - charts.LEFT) * 119 / 399
    assert float(lost.attributes["x1"]) == pytest.approx(across, abs=0.1)
    assert lost.text == "step 120: rank 2 lost: killed by signal 9"
    assert "warning" in lost.attributes["class"].split()
    assert [e.text for e in found.all("path", "flag")] == ["step 200: checkpoint at step 200"] * 2


def test_the_upper_edge_of_the_ranks_areas_is_all_of_them() -> None:
    found = read(material())
    lower, upper = (coordinates(e.attributes["d"]) for e in found.all("path", "area"))
    foot = charts.BOTTOM
    height = foot - min(y for _, y in upper)
    assert foot - min(y for _, y in lower) == pytest.approx(height * 0.75, abs=0.3)
    assert [e.text for e in found.all("path", "area")] == ["rank 0", "rank 1"]


def test_a_rank_that_was_away_adds_nothing_meanwhile() -> None:
    away = [step for step in STEPS if not 100 < step < 300]
    ranks = {0: timings(STEPS, 50.0, **SPLIT), 1: timings(away, 50.0, **SPLIT)}
    found = read(material(timings=ranks))
    upper = coordinates(found.all("path", "area")[1].attributes["d"])
    foot, middle = charts.BOTTOM, (charts.LEFT + charts.RIGHT) / 2
    top = min(y for _, y in upper)
    in_the_middle = min(y for x, y in upper if abs(x - middle) < 50)
    assert foot - in_the_middle == pytest.approx((foot - top) / 2, abs=0.3)


def test_many_ranks_are_some_areas_and_the_rest_as_one() -> None:
    ranks = {n: timings([1, 2, 3], 1.0 + n, **SPLIT) for n in range(64)}
    areas = [e.text for e in read(material(timings=ranks)).all("path", "area")]
    assert areas == [*(f"rank {n}" for n in range(57, 64)), "57 other ranks"]


def test_a_ranks_bar_is_cut_as_its_time_is() -> None:
    found = read(material())
    widths = {
        e.text: float(e.attributes["width"])
        for e in found.all("rect", "area")
        if e.text.startswith("rank 0")
    }
    whole = charts.RIGHT - charts.LEFT
    assert set(widths) == {
        "rank 0: data 10 %", "rank 0: forward 20 %", "rank 0: backward 30 %",
        "rank 0: exchange 10 %", "rank 0: other 30 %",
    }  # fmt: skip
    assert widths["rank 0: backward 30 %"] == pytest.approx(whole * 0.3, abs=0.1)
    assert sum(widths.values()) == pytest.approx(whole, abs=0.5)


def test_reports_count_as_much_as_the_steps_they_stand_for() -> None:
    of: Mapping[str, Numbers] = {
        "step": [1.0, 2.0], "share": [1.0, 1.0], "steps": [1.0, 99.0], "step_s": [1.0, 1.0],
        "forward_s": [1.0, 0.0], "backward_s": [0.0, 1.0],
    }  # fmt: skip
    found = read(material(timings={0: of}))
    shown = [e.text for e in found.all("rect", "area") if e.text]
    assert shown == ["rank 0: forward 1 %", "rank 0: backward 99 %"]


def test_points_that_stand_for_many_steps_have_a_band() -> None:
    assert read(material()).all("path", "band") == []
    [band] = read(material(curves={"loss": falling(spread=0.5)})).all("path", "band")
    assert len(coordinates(band.attributes["d"])) == 800


def test_what_is_no_number_is_a_gap() -> None:
    values: Numbers = [3.0, None, 2.0, 1.0, math.nan, 1.5]
    found = read(material(curves={"loss": series("loss", values)}, timings={}))
    [line] = [e for e in found.all("path", "line") if "ul" not in e.path]
    assert line.attributes["d"].count("M") == 3
    assert line.attributes["d"].count("h0") == 2  # a single point is a dot


def test_without_reports_of_ranks_the_speed_is_a_curve() -> None:
    found = read(material(timings={}))
    titles = [element.text for element in found.all("figcaption")]
    assert titles == ["Loss", "lr", "Throughput"]


@pytest.mark.parametrize(
    "values", [[], [None], [math.nan], [0.0], [-1.7e308, 1.7e308], [1e-300, 1e300], [5.0] * 3]
)
def test_any_curve_can_be_drawn(values: Numbers) -> None:
    made = material(curves={"loss": series("loss", values), "x": series("x", values)})
    for element in read(made).elements:
        for name in ("d", "x", "y", "x1", "x2", "y1", "y2", "width", "cx", "cy"):
            text = element.attributes.get(name, "")
            assert "nan" not in text
            assert "inf" not in text


# ------------------------------------------------------------------------- whoever wrote it


@pytest.mark.parametrize("nasty", NASTY)
def test_nothing_that_is_shown_becomes_markup(nasty: str) -> None:
    plain = read(material())
    rank = dataclasses.replace(STATE.ranks[0], device=nasty, state="lost", lost_reason=nasty)
    hostile = dataclasses.replace(
        STATE, run=nasty, job=nasty, model=nasty, data=nasty, place=nasty, reason=nasty,
        exported=nasty, metrics={nasty: 1.0}, ranks=(rank, *STATE.ranks[1:]),
        machines=(MachineView("a00", nasty, nasty, 8.0, nasty, 1, (nasty,)),),
        checkpoints=(CheckpointView(1, nasty, 1, True, 1.0, 1.0),),
        texts=(TextView(1, nasty, nasty),), alerts=(AlertView(1.0, nasty, nasty, 1),),
        error={"code": nasty, "what": nasty, "where": nasty, "fix": nasty},
    )  # fmt: skip
    made = material(
        state=hostile,
        curves={"loss": falling(), nasty: series(nasty, [1.0, 2.0])},
        told=[Told(1_700_000_012.0, nasty, nasty, nasty, 12), Told(math.inf, nasty, "bad", "", 3)],
        job={nasty: nasty, "env": {nasty: nasty}},
    )
    found = read(made)
    assert {e.name for e in found.elements} <= {e.name for e in plain.elements} | {"section"}
    visible = found.all("body")[0].text
    seen = re.sub(r"[\x00-\x08\x0b-\x1f\u202e]", "?", nasty)
    assert visible.count(seen) >= 20
    classes = {c for e in found.elements for c in e.attributes.get("class", "").split()}
    assert classes <= {c for e in plain.elements for c in e.attributes.get("class", "").split()} | {
        "error", "bad", "note",
    }  # fmt: skip
    found_bytes = page(made).encode()
    assert b"Content-Security-Policy" in found_bytes


def test_the_page_stays_small_however_long_the_run_was() -> None:
    steps = list(range(0, 400_000, 1000))
    curve = series("x", [math.sin(step) for step in steps], steps, spread=0.5)
    names = [base for n in range(11) for base in (f"m{n}", f"validation.m{n}")]
    ranks = tuple(RankView(n, "a00", device="cuda:0 " + "x" * 40, share=4) for n in range(1024))
    alert, text = AlertView(1.0, "warning", "y" * 4000, 1), TextView(1, "z" * 4000, "z" * 4000)
    made = material(
        state=dataclasses.replace(STATE, ranks=ranks, alerts=(alert,) * 50, texts=(text,) * 5),
        curves={"loss": curve} | dict.fromkeys(names, curve),
        timings={n: timings(steps[:20], 4.0, **SPLIT) for n in range(1024)},
        told=[Told(1.0, "w" * 5000, "note", "CheckpointWritten", 1000)] * 600,
        job={"x": "v" * 1_000_000},
    )
    assert len(page(made).encode()) < 1_000_000
