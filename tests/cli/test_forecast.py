"""`evener plan`: with profiles it foretells, without it says how to get them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evener import api
from evener.api import RunRequest
from evener.cli import main
from tests.profiles import found

JOB = """
[model]
name = "mlp"
[data]
name = "synthetic_image"
[train]
steps = 5
global_batch = 32
[local]
workers = 2
device = "cpu"
"""


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(JOB)


def known(file: str = "profiles.json") -> None:
    found.write_here(api.prepare(RunRequest("tiny.toml")), Path(file))


def plan(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main.main(["plan", "tiny.toml", *words]) == 0
    return capsys.readouterr().out


def test_without_profiles_it_says_how_to_get_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = plan(capsys)
    assert shown.splitlines()[0].split() == ["rank", "agent", "machine", "device", "threads"]
    assert "why  cpu, as the job says" in shown
    assert "`evener bench tiny.toml` measures it" in shown
    assert [p.name for p in tmp_path.iterdir()] == ["tiny.toml"]


def test_profiles_in_the_folder_are_found(capsys: pytest.CaptureFixture[str]) -> None:
    known()
    shown = plan(capsys)
    rows = [line.split() for line in shown.splitlines() if "busy for" in line]
    assert [row[:2] for row in rows] == [["0", "16"], ["1", "16"]]
    assert "a step  170 ms for 32 samples: 170 ms to compute; exchanging gradients is not" in shown
    assert "% is the most that any cut of this batch could come to" in shown


def test_those_that_do_not_fit_are_not_used_unless_they_were_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    known()
    shown = plan(capsys, "-o", "train.precision=bf16")
    assert "profiles.json is not used: they were measured with another job" in shown
    assert "busy for" not in shown
    named = ["plan", "tiny.toml", "-o", "train.precision=bf16", "--profiles", "profiles.json"]
    assert main.main(named) == 2
    assert capsys.readouterr().err.startswith("error E109: ")


def test_a_program_reads_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(plan(capsys, "--json"))
    assert document["forecast"] is None
    known("mine.json")
    document = json.loads(plan(capsys, "--json", "--profiles", "mine.json"))
    assert [p["share"] for p in document["forecast"]["parts"]] == [16, 16]
    assert document["forecast"]["step_s"] == pytest.approx(0.17)
    assert document["global_batch"] == 32
    assert len(document["plan"]["agents"][0]["ranks"]) == 2


def test_a_dry_run_says_that_speeds_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    known()
    words = ["run", "tiny.toml", "--dry-run", "--profiles", "profiles.json"]
    assert main.main(words) == 0
    assert "speeds  known of all ranks, measured 20" in capsys.readouterr().out
