"""The harness is fair, says what it found, and never passes a figure that falls short."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

import harness
from harness import Case, MeasureError, Settings, Spread

GOOD = Case("good", figure=1.0, target=1.05, unit="x", sides={"bare": Spread(2.0, 1.9, 2.2, 5)})
SHORT = Case("short", figure=1.2, target=1.05, unit="x")


def call(results: Path, *words: str, measure: harness.Measure, busy: float | None = None) -> int:
    return harness.main("trial", measure, "about", words, results, busy=lambda: busy)


def all_of(*cases: Case) -> harness.Measure:
    return lambda settings: cases


def test_a_target_is_a_ceiling_or_a_floor() -> None:
    assert GOOD.ok
    assert not SHORT.ok
    assert Case("rate", figure=12.0, target=10.0, at_most=False).ok
    assert not Case("rate", figure=9.0, target=10.0, at_most=False).ok


def test_no_figure_is_short_of_nothing() -> None:
    assert not Case("broken", figure=float("nan"), target=1.0).ok


def test_a_verdict_reads_as_one_line() -> None:
    assert harness.verdict("trial", GOOD) == (
        "trial/good: 1x (target 1.05x): ok   bare 2 [1.9..2.2]"
    )
    assert (
        harness.verdict("trial", Case("t", 2.5, 2.0, "s")) == "trial/t: 2.5 s (target 2 s): short"
    )


def test_spread_is_median_and_deciles() -> None:
    assert harness.spread([float(n) for n in range(11)]) == Spread(5.0, 1.0, 9.0, 11)
    assert harness.spread([3.0]) == Spread(3.0, 3.0, 3.0, 1)
    with pytest.raises(MeasureError):
        harness.spread([])


def test_turns_alternate_so_that_drift_hits_both_sides() -> None:
    order: list[str] = []
    sides = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    taken = harness.interleave(sides, 3)
    assert "".join(order) == "abbaab"
    assert {side: len(values) for side, values in taken.items()} == {"a": 3, "b": 3}


def test_a_full_run_keeps_its_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(tmp_path, measure=all_of(GOOD)) == 0
    assert capsys.readouterr().out.startswith("trial/good: 1x")
    record = json.loads((tmp_path / "trial.json").read_text())
    assert record["v"] == harness.FORMAT_VERSION
    assert record["hardware"]["cpus"] >= 1
    assert record["cases"][0]["ok"] is True
    assert record["cases"][0]["sides"]["bare"]["p90"] == 2.2


def test_one_case_alone_leaves_the_others_in_the_record_with_where_they_were_measured(
    tmp_path: Path,
) -> None:
    def measure(settings: Settings) -> Iterable[Case]:
        yield from (case for case in (GOOD, SHORT) if settings.wants(case.name))

    assert call(tmp_path, measure=measure) == 1
    better = Case("short", figure=1.01, target=1.05, unit="x")
    assert call(tmp_path, "--only", "short", measure=all_of(better)) == 0
    record = json.loads((tmp_path / "trial.json").read_text())
    assert [(case["name"], case["figure"]) for case in record["cases"]] == [
        ("good", 1.0),
        ("short", 1.01),
    ]
    assert call(tmp_path, "--only", "shrot", measure=measure) == 2
    assert "hardware" not in record["cases"][1]
    elsewhere = {**record, "hardware": {**record["hardware"], "cpus": 999}}
    (tmp_path / "trial.json").write_text(json.dumps(elsewhere))
    assert call(tmp_path, "--only", "short", measure=measure) == 1
    record = json.loads((tmp_path / "trial.json").read_text())
    assert [case["name"] for case in record["cases"]] == ["good", "short"]
    assert record["cases"][0]["hardware"] == record["hardware"]


def test_a_short_figure_fails_the_script(tmp_path: Path) -> None:
    assert call(tmp_path, "--quick", measure=all_of(GOOD, SHORT)) == 1
    assert not (tmp_path / "trial.json").exists()


def test_json_on_request_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(tmp_path, "--quick", "--json", measure=all_of(SHORT)) == 1
    assert json.loads(capsys.readouterr().out)["quick"] is True


def test_what_was_not_measured_is_no_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(settings: Settings) -> Iterable[Case]:
        yield GOOD
        raise MeasureError("no data")

    assert call(tmp_path, measure=measure) == 2
    assert "not measured: no data" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_round_that_was_slow_for_both_sides_does_not_count() -> None:
    taken = {"ours": [1.1, 5.5, 2.2], "theirs": [1.0, 5.0, 2.0]}
    assert harness.ratios(taken, "ours", "theirs").median == pytest.approx(1.1)


def test_a_busy_machine_gives_no_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(tmp_path, measure=all_of(GOOD), busy=0.4) == 2
    assert "others use 40% of this machine" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert call(tmp_path, "--quick", measure=all_of(GOOD), busy=0.4) == 0
    assert "others use 40%" in capsys.readouterr().err
    assert call(tmp_path, measure=all_of(GOOD), busy=0.05) == 0


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="this system has no /proc")
def test_work_of_others_is_seen() -> None:
    worker = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        assert (harness.busy_share() or 0) > 0.5 / (os.cpu_count() or 1)
    finally:
        worker.kill()
        worker.wait()


def test_a_side_that_fails_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(MeasureError, match="ended with 3") as caught:
        harness.run([sys.executable, "-c", "print('last words'); exit(3)"], cwd=tmp_path)
    assert "last words" in str(caught.value)
    with pytest.raises(MeasureError, match="more than"):
        harness.run([sys.executable, "-c", "while True: pass"], cwd=tmp_path, limit_s=0.3)


def test_sides_run_with_one_thread(tmp_path: Path) -> None:
    said = harness.run(
        [sys.executable, "-c", "import os; print(os.environ['OMP_NUM_THREADS'])"], cwd=tmp_path
    )
    assert said.strip() == "1"


def test_the_last_json_line_counts() -> None:
    assert harness.last_json('noise\n{"a": 1}\n{"a": 2}\nnoise') == {"a": 2}
    with pytest.raises(MeasureError):
        harness.last_json("noise")
