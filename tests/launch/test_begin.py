"""Before a compose project trains: what is recorded, and when nothing is."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from tests.placement.test_placement import job, machine

from evener import errors, placement
from evener.config.load import job_to_json
from evener.events import Record, RunEnded, RunStarted
from evener.launch.begin import Begun, begin
from evener.placement import plan_containers
from evener.rundir import layout
from evener.rundir.layout import RunDir
from evener.rundir.store import Store


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = RunDir(tmp_path / "tiny")
    run.create()
    plan = replace(plan_containers(job(workers=2), machine()), place="compose")
    layout.write_json(run.plan_file, placement.to_dict(plan))
    layout.write_atomic(run.job_file, job_to_json(job()))
    return run


def nobody(run: RunDir) -> bool:
    return False


def somebody(run: RunDir) -> bool:
    return True


def end(run: RunDir, outcome: str) -> None:
    with Store.open(run.db, write=True) as store:
        store.append([Record(RunEnded(outcome, 7), 1.0, "a00", 1)])


def starts(run: RunDir) -> list[RunStarted]:
    with Store.open(run.db, write=False) as store:
        return [r.event for r in store.records() if isinstance(r.event, RunStarted)]


def test_the_first_time_it_begins_and_then_it_goes_on(run: RunDir) -> None:
    assert begin(run, somebody)[0] is Begun.new  # of a run without a record nobody can be
    assert begin(run, nobody)[0] is Begun.resumed
    first, second = starts(run)
    assert (first.resumed, second.resumed) == (False, True)
    assert (first.place, first.ranks, first.agents) == ("compose", 2, 2)


def test_a_head_of_a_stack_that_came_to_an_empty_folder_finds_agents(run: RunDir) -> None:
    plan = replace(placement.from_dict(layout.read_json(run.plan_file)), place="stack")
    layout.write_json(run.plan_file, placement.to_dict(plan))
    assert begin(run, somebody)[0] is Begun.found
    assert [each.resumed for each in starts(run)] == [True]
    assert begin(run, somebody)[0] is Begun.going


def test_one_that_was_stopped_goes_on_and_one_that_finished_does_not(run: RunDir) -> None:
    begin(run, nobody)
    end(run, "stopped")
    assert begin(run, nobody)[0] is Begun.resumed
    with Store.open(run.db, write=True) as store:
        store.append([Record(RunEnded("finished", 9), 2.0, "a00", 2)])
    assert begin(run, somebody)[0] is Begun.finished  # whoever is there goes
    assert len(starts(run)) == 2


def test_one_that_trains_is_left_alone(run: RunDir) -> None:
    begin(run, nobody)
    assert begin(run, somebody)[0] is Begun.going
    assert len(starts(run)) == 1


def test_the_containers_of_an_ended_run_may_take_a_moment_to_go(run: RunDir) -> None:
    begin(run, nobody)
    end(run, "stopped")
    answers = iter([True, False])
    assert begin(run, lambda _: next(answers))[0] is Begun.resumed


def test_one_that_went_on_as_processes_is_not_taken_back(run: RunDir) -> None:
    plan = replace(placement.from_dict(layout.read_json(run.plan_file)), place="local")
    layout.write_json(run.plan_file, placement.to_dict(plan))
    with pytest.raises(errors.RunActive, match="outside of docker compose"):
        begin(run, nobody)


def test_a_folder_of_somebody_else_is_one_sentence(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(errors.NotPermitted, match="not theirs") as raised:
        begin(run, nobody)
    assert "EVENER_UID" in raised.value.fix
