"""`evener report`: from a run's folder to a page that a browser can read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evener import events
from evener.cli import main
from evener.cli.report import gathered
from evener.events import Record
from evener.rundir.layout import RunDir
from tests.report.reading import Read, check_is_harmless
from tests.synthetic_run import Script, records, run_with

FINISHED = list(records(Script(lost_at=130)))


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    made = run_with(tmp_path / "experiments", FINISHED, "demo")
    made.job_file.write_text(json.dumps({"name": "demo", "env": {"HF_TOKEN": "s3cr3t"}}))
    return made


def written(*args: str, at: Path) -> Read:
    assert main.main(["report", *args]) == 0
    found = Read(at.read_text(encoding="utf-8"))
    check_is_harmless(found)
    return found


def test_the_whole_run_is_on_the_page(run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    found = written("demo", at=run.path / "report.html")
    said = capsys.readouterr().out
    assert said.startswith(f"{run.path / 'report.html'} written (")
    assert found.all("h1")[0].text == "demo"
    titles = [element.text for element in found.all("figcaption")]
    assert titles == [
        "Loss", "grad_norm", "lr", "perplexity", "Throughput by rank", "Where the time goes",
    ]  # fmt: skip
    happened = found.section("What happened").text
    for sentence in (
        "rank 2 lost: killed by signal 9",
        "ranks 0-1 train together from step 130",
        "checkpoint at step 400: 9.8 MB",
        "validation at step 300: loss 1.687, perplexity 5.404, the best so far",
        "finished at step 400",
    ):
        assert sentence in happened
    marks = [element.text for element in found.all("line", "mark")]
    assert "step 130: rank 2 lost: killed by signal 9" in marks
    assert "s3cr3t" not in found.source


def test_the_lost_rank_is_missing_in_the_throughput(run: RunDir) -> None:
    rank_2 = gathered(run).timings[2]
    assert not any(step is not None and 130 < step <= 170 for step in rank_2["step"])
    found = written("demo", at=run.path / "report.html")
    assert [e.text for e in found.all("path", "area")] == ["rank 0", "rank 1", "rank 2"]


def test_the_same_record_is_the_same_file(run: RunDir, tmp_path: Path) -> None:
    written("demo", "-o", "one.html", at=tmp_path / "one.html")
    written("-o", "two.html", at=tmp_path / "two.html")
    assert Path("one.html").read_bytes() == Path("two.html").read_bytes()
    assert not (run.path / "report.html").exists()


def test_a_run_that_vanished_is_told_as_failed(tmp_path: Path) -> None:
    run_with(tmp_path / "experiments", FINISHED[:300], "gone")
    found = written("gone", "-o", "gone.html", at=tmp_path / "gone.html")
    assert found.all("p", "outcome")[0].text.startswith("failed at step ")
    assert found.all("section", "error")[0].text.startswith("E604 every process of the run is gone")


def test_a_run_that_never_began_is_a_page_too(tmp_path: Path) -> None:
    empty = RunDir(tmp_path / "experiments" / "empty")
    empty.create()
    empty.job_file.write_text("not JSON")
    found = written("empty", at=empty.path / "report.html")
    assert found.all("figure") == []


def test_where_it_cannot_be_written_it_says_so(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    for target, what in (("nowhere/report.html", "does not exist"), (".", "is a folder")):
        assert main.main(["report", "demo", "-o", target]) == 2
        said = capsys.readouterr().err
        assert said.startswith("error E107: ")
        assert what in said


def test_names_from_the_record_stay_text(tmp_path: Path) -> None:
    nasty = "<img src=x onerror=alert(1)>"
    told = [*FINISHED[:-2], Record(events.Alert("warning", nasty, 1), 1_700_000_030.0, "x", 1)]
    told.append(Record(events.RunEnded("finished", 400, nasty), 1_700_000_043.0, "x", 2))
    odd = run_with(tmp_path / "experiments", told, "demo")
    odd.job_file.write_text(json.dumps({"name": nasty}))
    found = written("demo", at=odd.path / "report.html")
    assert found.all("img") == []
    assert found.section("Alerts").text.count(nasty) == 1
    assert found.section("The job").text.count(nasty) == 1
