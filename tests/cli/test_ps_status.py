"""ps and status: the same truth as the attached view, from any shell."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from evener import events, process
from evener.cli import main
from evener.launch.base import Handle, Started, write_handle
from evener.rundir.layout import RunDir
from tests.synthetic_run import Script, records, run_with

FINISHED = list(records(Script(steps=40)))
GOING = FINISHED[:60]


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


def living(run: RunDir) -> None:
    """As if this test's process were one of the run."""
    birth = process.birth(os.getpid())
    assert birth is not None
    write_handle(run, Handle("local", "x", "s", (Started("agent a00", os.getpid(), birth),)))


def output(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert main.main(args) == 0
    return capsys.readouterr().out


def test_ps_lists_what_is_going(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_with(tmp_path / "experiments", FINISHED, "old")
    living(run_with(tmp_path / "experiments", GOING, "new"))
    heads, *rows = output(capsys, "ps").splitlines()
    assert heads.split() == ["run", "phase", "step", "loss", "samples/s", "age"]
    assert [row.split()[:5] for row in rows] == [["new", "training", "13", "of", "40"]]
    everything = output(capsys, "ps", "--all").splitlines()
    assert {line.split()[0] for line in everything[1:]} == {"old", "new"}
    assert max(map(len, everything)) <= 80


def test_ps_says_when_nothing_is_going(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no run under experiments" in output(capsys, "ps")
    run_with(tmp_path / "experiments", FINISHED, "old")
    assert "evener ps --all lists the 1 that ended" in output(capsys, "ps")


def test_ps_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(output(capsys, "ps", "--json")) == []
    run_with(tmp_path / "else", FINISHED, "old")
    [row] = json.loads(output(capsys, "ps", "--json", "--all", "--dir", "else"))
    assert (row["run"], row["phase"], row["step"]) == ("old", "finished", 40)


def test_a_damaged_record_does_not_hide_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_with(tmp_path / "experiments", FINISHED, "good")
    bad = run_with(tmp_path / "experiments", FINISHED, "bad")
    bad.db.write_bytes(b"no database" * 1000)
    text = output(capsys, "ps", "--all")
    assert "unreadable" in text
    assert "finished" in text


def test_status_is_the_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_with(tmp_path / "experiments", FINISHED, "demo")
    text = output(capsys, "status", "demo")
    assert text.startswith("demo  finished")
    assert "40 of 40" in text
    assert "checkpoint" not in text.splitlines()[0]
    assert max(map(len, text.splitlines())) < 80


def test_status_of_a_failed_run_shows_the_error_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = {"code": "E605", "what": "rank 1 ran out of memory", "where": "desk", "fix": "less"}
    told = list(records(Script(steps=10, outcome="failed", error=error)))
    run_with(tmp_path / "experiments", told, "demo")
    assert main.main(["status"]) == 0
    said = capsys.readouterr()
    assert "failed" in said.out
    assert "ran out of memory" not in said.out
    assert said.err.count("error E605: rank 1 ran out of memory") == 1


def test_status_of_a_run_that_vanished_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_with(tmp_path / "experiments", GOING, "demo")
    assert main.main(["status", "demo"]) == 0
    assert "error E604" in capsys.readouterr().err


def test_status_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = [r for r in FINISHED if not isinstance(r.event, events.Validated)]
    run_with(tmp_path / "experiments", told, "demo")
    document = json.loads(output(capsys, "status", "demo", "--json"))
    assert (document["phase"], document["step"]) == ("finished", 40)


def test_a_narrow_code_page_shows_the_picture_in_ascii(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    import io
    import sys

    run_with(tmp_path / "experiments", FINISHED, "demo")
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding="cp1252"))
    assert main.main(["status", "demo"]) == 0
    sys.stdout.flush()
    shown = buffer.getvalue()
    assert b"40 of 40" in shown
    assert shown.isascii()
