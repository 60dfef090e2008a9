"""`evener bench`: a tiny job from the command line, to its end and to Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evener.cli import main
from evener.cli.profiles import tables
from evener.events import SharesChanged
from evener.profiles import LinkProfile
from evener.rundir import measured
from tests.faults import runs
from tests.profiles import found

JOB = """
[model]
name = "mlp"
[data]
name = "synthetic_image"
samples = 256
validation_samples = 32
size = 8
[train]
steps = 5
global_batch = 16
[balance]
policy = "static"
[validation]
at_end = false
[local]
workers = 2
threads = 1
device = "cpu"
[membership]
standby = false
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tiny.toml").write_text(JOB)
    return tmp_path


def evener(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return runs.evener(folder, *words, EVENER_CACHE=str(folder / "cache"))


@pytest.mark.slow
def test_what_a_bench_finds_is_shown_planned_with_and_trained_with(folder: Path) -> None:
    done = evener(folder, "bench", "tiny.toml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all ranks were measured at the same time" in done.stdout
    assert done.stdout.endswith("profiles.json written\n")
    assert "rank 0 to rank 1: " in done.stderr
    names = {path.name for path in folder.iterdir()}
    assert names == {"tiny.toml", "profiles.json", "cache"}  # no folder of runs
    assert list((folder / "cache" / "bench").iterdir()) == []
    known = measured.read(folder / "profiles.json")
    assert [r.rank for r in known.ranks] == [0, 1]
    assert [m.threads for m in known.machines] == [min(2, int(known.machines[0].cpus))]
    assert len(known.links) == 2
    planned = evener(folder, "plan", "tiny.toml", "--json")
    assert json.loads(planned.stdout)["forecast"]["compute_s"] > 0
    trained = evener(folder, "run", "tiny.toml", "--profiles", "profiles.json")
    assert trained.returncode == 0, trained.stdout + trained.stderr
    run = runs.run_of(folder, "tiny")
    assert measured.speeds_of(run)
    [change] = runs.events(run, SharesChanged)
    assert sum(change.shares) == 16


@pytest.mark.slow
def test_ctrl_c_leaves_nothing(folder: Path) -> None:
    with runs.started(folder, "bench", "tiny.toml") as process:
        deadline = time.monotonic() + runs.PATIENCE_S
        handle = folder / "experiments" / "bench-tiny" / "configs" / "handle.json"
        while not handle.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        pids = [p["pid"] for p in json.loads(handle.read_text())["processes"]]
        os.kill(process.pid, signal.SIGINT)
        process.wait(runs.PATIENCE_S)
        assert process.returncode == 130
        assert [path.name for path in folder.iterdir()] == ["tiny.toml"]
        assert not any(map(runs.alive, pids))


@pytest.mark.slow
def test_a_bench_that_fails_keeps_its_logs(folder: Path) -> None:
    done = evener(folder, "bench", "tiny.toml", "-o", "train.precision=fp16")
    assert done.returncode == 2, done.stderr
    assert "E105" in done.stderr
    assert "what its processes wrote is in" in done.stderr
    assert (folder / "experiments" / "bench-tiny" / "logs").is_dir()
    assert not (folder / "profiles.json").exists()


@pytest.mark.slow
def test_without_a_job_this_machine_is_measured(folder: Path) -> None:
    done = evener(folder, "bench", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["ranks"] == []
    assert document["machines"][0]["matmul_flop_per_s"]["fp32"] > 0
    assert json.loads((folder / "profiles.json").read_text()) == document
    refused = evener(folder, "run", "tiny.toml", "--profiles", "profiles.json")
    assert "these are profiles of machines alone" in refused.stderr


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--workers", "2"], "--workers needs a job"),
        (["--on", "docker"], "--on docker needs a job"),
        (["-o", "train.steps=1"], "-o needs a job"),
        (["demo", "--out", "."], "is a folder"),
        (["demo", "--out", "no/where.json"], "there is no folder no"),
    ],
)
def test_what_cannot_be_measured_so_is_said_at_once(
    words: list[str], what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["bench", *words]) == 2
    assert what in capsys.readouterr().err


def test_a_table_shows_what_is_not_known_as_such() -> None:
    note = "products of fp16: not on this device"
    unread = found.machine("ash", disk_read_bytes_per_s=None, memory_bytes=None, note=note)
    shown = [line.plain for line in tables(found.profiles(machines=(unread,), ranks=(), links=()))]
    assert shown[1].split() == [
        "ash", "8", "-", "cpu,", "8", "threads", "20.0", "GB/s", "500", "MB/s", "-", "300",
        "GFLOP/s",
    ]  # fmt: skip
    assert shown[-1] == f"note ash: {note}"


def test_of_many_links_the_slowest_are_shown() -> None:
    pairs = [(a, b) for a in range(5) for b in range(5) if a != b]
    links = tuple(LinkProfile(a, b, 1e9 if (a, b) != (3, 4) else 1e6, 1e-4) for a, b in pairs)
    shown = [line.plain for line in tables(found.profiles(links=links))]
    assert any("rank 3" in line and "1.0 MB/s" in line for line in shown)
    assert shown[-1] == "and 8 more links, all of them faster"


def test_python_that_has_no_torch_is_told_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main.main(["bench"]) == 6
    assert "E502" in capsys.readouterr().err
