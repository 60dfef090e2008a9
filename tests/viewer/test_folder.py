"""A folder of runs as pages see it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from evener import errors
from evener.rundir.store import Store
from evener.viewer.folder import Folder
from tests.synthetic_run import Script, records, run_with

SCRIPT = Script(steps=60, ranks=2, lost_at=30)


def test_runs_are_listed_and_found(tmp_path: Path) -> None:
    run_with(tmp_path, records(SCRIPT), "one")
    run_with(tmp_path, records(Script(steps=10, ranks=1)), "two")
    with Folder(tmp_path) as folder:
        assert folder.alone() is None
        assert [(r.run.name, r.state.step, r.live) for r in folder.states()] == [
            ("one", 60, False),
            ("two", 10, False),
        ]
        found = folder.find("one")
        assert found is not None
        assert found.state().step == 60
        assert found.history().series("loss").step[-1] == 60
        assert folder.find("three") is None
        assert folder.elsewhere("one") is None


def test_a_run_that_was_copied_is_shown_as_it_was(tmp_path: Path) -> None:
    original = run_with(tmp_path / "there", records(SCRIPT), "one")
    copied = shutil.copytree(original.path, tmp_path / "here" / "one")
    shutil.rmtree(original.path)
    with Folder(copied.parent) as folder:
        found = folder.find("one")
        assert found is not None
        assert found.live is False
        assert found.state().phase == "finished"


def test_what_is_added_is_seen(tmp_path: Path) -> None:
    told = list(records(SCRIPT))
    run = run_with(tmp_path, told[:20], "one")
    with Folder(tmp_path) as folder:
        found = folder.find("one")
        assert found is not None
        before, listed = found.state().step, folder.states()[0].state.step
        with Store.open(run.db, write=True) as store:
            store.append(told[20:])
        assert found.state().step == 60 > before
        assert folder.states()[0].state.step == 60 > listed


def test_a_damaged_record_hides_no_other_run(tmp_path: Path) -> None:
    run_with(tmp_path, records(SCRIPT), "one")
    broken = run_with(tmp_path, [], "two")
    broken.db.write_bytes(b"no database" * 1000)
    with Folder(tmp_path) as folder:
        assert [r.run.name for r in folder.states()] == ["one"]
        with pytest.raises(errors.StoreDamaged):
            folder.find("two")


def test_a_single_run_is_alone(tmp_path: Path) -> None:
    run = run_with(tmp_path, records(SCRIPT), "one")
    run_with(tmp_path, [], "two")
    with Folder(tmp_path, run) as folder:
        assert folder.alone() == "one"
        assert len(folder.states()) == 1
        assert folder.find("two") is None


def test_nobody_hears_what_is_asked_of_a_run_that_is_over(tmp_path: Path) -> None:
    run_with(tmp_path, records(SCRIPT), "one")
    with Folder(tmp_path) as folder:
        found = folder.find("one")
        assert found is not None
        with pytest.raises(errors.RunVanished):
            found.ask("stop")
