"""Names of a run's files, finding runs, and files that land whole or not at all."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from evener import errors
from evener.rundir import layout
from evener.rundir.layout import RunDir


def make_run(root: Path, name: str) -> RunDir:
    run = RunDir(root / name)
    run.create()
    layout.write_json(run.job_file, {"v": 1})
    return run


def test_create_makes_the_folders_and_may_be_repeated(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "experiments" / "demo")
    run.create()
    run.create()
    assert {p.name for p in run.path.iterdir()} == {"configs", "logs", "checkpoints"}


def test_every_file_of_a_run_has_its_own_place_inside(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "demo")
    files = [
        run.db, run.job_file, run.plan_file, run.handle_file, run.export_file, run.head_log,
        run.rank_log(0), run.rank_log(1), run.rank_metrics(0), run.spool("a00"), run.spool("a01"),
    ]  # fmt: skip
    assert len(set(files)) == len(files)
    assert all(f.is_relative_to(run.path) for f in files)
    assert run.rank_metrics(3) == run.path / "logs" / "rank_3_metrics.json"


def test_runs_lists_folders_with_a_job_only(tmp_path: Path) -> None:
    make_run(tmp_path, "b")
    make_run(tmp_path, "a")
    RunDir(tmp_path / "claimed").create()
    (tmp_path / "file").write_text("x")
    assert [r.name for r in layout.runs(tmp_path)] == ["a", "b"]
    assert layout.runs(tmp_path / "nowhere") == []


def test_find_takes_a_name_and_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "experiments", "demo")
    monkeypatch.chdir(tmp_path)
    assert layout.find(Path("experiments"), "demo") == run
    assert layout.find(Path("elsewhere"), "experiments/demo") == run


def test_find_suggests_the_nearest_name(tmp_path: Path) -> None:
    make_run(tmp_path, "mnist-large")
    with pytest.raises(errors.RunNotFound) as caught:
        layout.find(tmp_path, "mnist-lrage")
    assert "did you mean 'mnist-large'" in caught.value.fix
    with pytest.raises(errors.RunNotFound, match="nothing"):
        layout.find(tmp_path / "empty", "nothing")


def test_claim_name_counts_up(tmp_path: Path) -> None:
    root = tmp_path / "experiments"
    assert [layout.claim_name(root, "demo") for _ in range(3)] == ["demo", "demo-2", "demo-3"]


def test_two_claims_at_once_get_two_names(tmp_path: Path) -> None:
    names: list[str] = []
    threads = [
        threading.Thread(target=lambda: names.append(layout.claim_name(tmp_path, "demo")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(names)) == 8


def test_write_atomic_replaces_and_leaves_nothing_beside(tmp_path: Path) -> None:
    target = tmp_path / "plan.json"
    layout.write_atomic(target, "old")
    layout.write_atomic(target, b"new")
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "plan.json"
    layout.write_atomic(target, "old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(errors.DiskFull) as caught:
        layout.write_atomic(target, "new")
    assert str(target) in caught.value.where
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_really_full_device_is_DiskFull() -> None:
    with (
        pytest.raises(errors.DiskFull),
        layout.translated(Path("/dev/full")),
        Path("/dev/full").open("wb", buffering=0) as f,
    ):
        f.write(b"x")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_a_missing_right_is_NotPermitted(number: int, tmp_path: Path) -> None:
    with pytest.raises(errors.NotPermitted), layout.translated(tmp_path):
        raise OSError(number, os.strerror(number))


def test_other_system_errors_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        layout.write_atomic(tmp_path / "missing" / "file", "x")


def test_json_goes_round_with_its_letters(tmp_path: Path) -> None:
    value = {"name": "Grüße", "values": [1, 2.5, None]}
    layout.write_json(tmp_path / "x.json", value)
    assert layout.read_json(tmp_path / "x.json") == value
    assert "Grüße" in (tmp_path / "x.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_damaged_json_is_StoreDamaged(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(errors.StoreDamaged) as caught:
        layout.read_json(path)
    assert caught.value.where == str(path)


def test_missing_json_is_StoreDamaged(tmp_path: Path) -> None:
    with pytest.raises(errors.StoreDamaged, match="missing"):
        layout.read_json(tmp_path / "x.json")
