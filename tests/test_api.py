"""Starting, resuming and stopping: what is refused, what is written, what is launched."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evener import api, bench, errors, events, placement
from evener.api import RunRequest
from evener.config.load import job_from_json, load_job
from evener.events import Record
from evener.rundir import measured
from evener.rundir.layout import RunDir
from evener.rundir.store import Store
from tests.profiles import found
from tests.synthetic_run import FakeLauncher, Script, records

JOB = """
[model]
name = "mlp"
[data]
name = "synthetic_image"
[train]
steps = 50
lr = 0.01
[local]
workers = 2
device = "cpu"
"""


@pytest.fixture
def request_for(tmp_path: Path) -> Any:
    (tmp_path / "tiny.toml").write_text(JOB)

    def make(job: str = "", *overrides: str, **rest: Any) -> RunRequest:
        meant = job or ("tiny" if rest.get("resume") else "tiny.toml")
        return RunRequest(meant, overrides, folder=tmp_path, **rest)

    return make


def told(run: RunDir) -> list[Any]:
    with Store.open(run.db, write=False) as store:
        return [record.event for record in store.records()]


def ended(run: RunDir, outcome: str) -> None:
    """The run as it would be after 30 steps and this end."""
    story = records(Script(run=run.name, steps=30, outcome=outcome))
    with Store.open(run.db, write=True) as store:
        store.append(r for r in story if not isinstance(r.event, events.RunStarted))


def test_a_start_writes_what_was_decided_and_launches_it(request_for: Any, tmp_path: Path) -> None:
    launcher = FakeLauncher()
    run = api.start_run(request_for(), launcher)
    assert run.path == tmp_path / "experiments" / "tiny"
    assert job_from_json(run.job_file.read_text()).train.steps == 50
    plan = placement.from_dict(json.loads(run.plan_file.read_text()))
    assert [rank.device for rank in plan.ranks] == ["cpu", "cpu"]
    assert json.loads((run.configs / "profile.json").read_text())["cpus"] > 0
    assert told(run) == [
        events.RunStarted("tiny", "tiny", "mlp", "synthetic_image", 2, 1, 32, False, "local")
    ]
    assert [r.run for r in launcher.started] == [run]


def test_preparing_writes_nothing(request_for: Any, tmp_path: Path) -> None:
    ready = api.prepare(request_for(), FakeLauncher())
    rendered = api.render(ready, FakeLauncher())
    assert [c.purpose for c in rendered.commands] == ["agent a00"]
    assert [p.name for p in tmp_path.iterdir()] == ["tiny.toml"]


def test_a_name_that_is_taken_gets_a_number_and_a_note(request_for: Any) -> None:
    first = api.start_run(request_for(), FakeLauncher())
    ended(first, "stopped")
    ready = api.prepare(request_for(), FakeLauncher())
    assert ready.name == "tiny-2"
    assert ready.notes[0].startswith("there is a run called tiny already: this one is tiny-2")
    second = api.start(ready, FakeLauncher())
    assert second.name == "tiny-2"
    assert len(told(first)) > 1
    assert api.prepare(request_for(), FakeLauncher()).name == "tiny-3"


def test_of_two_at_once_each_gets_its_own_folder(request_for: Any) -> None:
    ready = api.prepare(request_for(), FakeLauncher())
    assert api.start(ready, FakeLauncher()).name == "tiny"
    assert api.start(ready, FakeLauncher()).name == "tiny-2"


def test_a_wished_name_and_place_are_used(request_for: Any, tmp_path: Path) -> None:
    run = api.start_run(request_for(name="mine", root=tmp_path / "else"), FakeLauncher())
    assert run.path == tmp_path / "else" / "mine"
    with pytest.raises(errors.BadCommand):
        api.prepare(request_for(name="../up"), FakeLauncher())


def test_workers_are_an_override_that_agents_follow(request_for: Any) -> None:
    assert len(api.prepare(request_for(workers=3), FakeLauncher()).plan.ranks) == 3
    many = request_for("tiny.toml", "local.workers=4", "local.agents=4")
    assert len(api.prepare(many, FakeLauncher()).plan.agents) == 4
    (many.folder / "three.toml").write_text(JOB.replace("workers = 2", "workers = 3\nagents = 3"))
    two = api.prepare(request_for("three.toml", workers=2), FakeLauncher()).plan
    assert (len(two.agents), len(two.ranks)) == (2, 2)
    with pytest.raises(errors.BadCombination):
        api.prepare(request_for("tiny.toml", "local.agents=4", workers=2), FakeLauncher())


def test_without_torch_nothing_is_started(
    request_for: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(errors.ExtraMissing):
        api.prepare(request_for(), FakeLauncher())


def test_a_launch_that_fails_is_recorded_as_the_end(request_for: Any, tmp_path: Path) -> None:
    failure = errors.StartFailed("the head ended with status 1", where="head.log")
    with pytest.raises(errors.StartFailed):
        api.start_run(request_for(), FakeLauncher(failure=failure))
    last = told(RunDir(tmp_path / "experiments" / "tiny"))[-1]
    assert isinstance(last, events.RunEnded)
    assert (last.outcome, last.error) == ("failed", failure.to_dict())


def test_an_interrupted_launch_is_recorded_as_stopped(request_for: Any, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        api.start_run(request_for(), FakeLauncher(failure=KeyboardInterrupt()))
    last = told(RunDir(tmp_path / "experiments" / "tiny"))[-1]
    assert isinstance(last, events.RunEnded)
    assert last.outcome == "stopped"


# ------------------------------------------------------------------------------ resume


@pytest.mark.parametrize("outcome", ["stopped", "failed"])
def test_a_resume_goes_on_in_the_same_folder(request_for: Any, outcome: str) -> None:
    run = api.start_run(request_for(), FakeLauncher())
    ended(run, outcome)
    launcher = FakeLauncher()
    ready = api.prepare(request_for(resume=True), launcher)
    assert (ready.resumed, ready.step, ready.name) == (True, 30, "tiny")
    assert api.start(ready, launcher) == run
    starts = [e for e in told(run) if isinstance(e, events.RunStarted)]
    assert [s.resumed for s in starts] == [False, True]


def test_a_run_that_vanished_can_be_resumed(request_for: Any) -> None:
    run = api.start_run(request_for(), FakeLauncher())
    with Store.open(run.db, write=True) as store:
        store.append([Record(events.StopAsked("x"), 1.0, "a00", 1)])
    assert api.prepare(request_for(resume=True), FakeLauncher()).resumed


def test_a_finished_run_has_nothing_to_resume(request_for: Any) -> None:
    run = api.start_run(request_for(), FakeLauncher())
    ended(run, "finished")
    with pytest.raises(errors.NothingToResume, match="finished, at step 30"):
        api.prepare(request_for(resume=True), FakeLauncher())


def test_a_run_that_is_going_is_not_resumed(request_for: Any) -> None:
    api.start_run(request_for(), FakeLauncher())
    with pytest.raises(errors.RunActive, match="still going"):
        api.prepare(request_for(resume=True), FakeLauncher([True]))


def test_a_resume_is_asked_for_by_name_or_folder(request_for: Any, tmp_path: Path) -> None:
    run = api.start_run(request_for(name="mine"), FakeLauncher())
    ended(run, "stopped")
    launcher = FakeLauncher()
    for request in (
        request_for("mine", resume=True),
        request_for(str(tmp_path / "experiments/mine"), resume=True),
    ):
        assert api.prepare(request, launcher).run.path.resolve() == run.path


def test_a_resume_of_what_never_ran_names_what_did(request_for: Any) -> None:
    api.start_run(request_for(), FakeLauncher())
    with pytest.raises(errors.RunNotFound) as caught:
        api.prepare(request_for("tinny", resume=True), FakeLauncher())
    assert "did you mean 'tiny'?" in caught.value.fix


def test_the_stored_job_goes_on_whatever_became_of_the_file(
    request_for: Any, tmp_path: Path
) -> None:
    ended(api.start_run(request_for("tiny.toml", "train.lr=0.5"), FakeLauncher()), "stopped")
    (tmp_path / "tiny.toml").write_text(JOB.replace("steps = 50", "steps = 70"))
    job = api.prepare(request_for(resume=True), FakeLauncher()).job
    assert (job.train.steps, job.train.lr) == (50, 0.5)


@pytest.mark.parametrize("override", ["train.lr=0.2", "train.steps=90", "data.workers=2"])
def test_a_resume_may_adjust_how_it_trains(request_for: Any, override: str) -> None:
    run = api.start_run(request_for(), FakeLauncher())
    ended(run, "stopped")
    ready = api.prepare(request_for("tiny", override, resume=True), FakeLauncher())
    key, value = override.split("=")
    section, name = key.split(".")
    assert getattr(getattr(ready.job, section), name) == float(value)
    api.start(ready, FakeLauncher())
    assert load_job(str(run.job_file)).job == ready.job


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("model.hidden=[8]", "model.hidden"),
        ("data.classes=7", "data.classes"),
        ("train.seed=2", "train.seed"),
        ("train.global_batch=8", "train.global_batch"),
        ("train.optimizer=sgd", "train.optimizer"),
    ],
)
def test_a_resume_cannot_train_something_else(request_for: Any, override: str, key: str) -> None:
    ended(api.start_run(request_for(), FakeLauncher()), "stopped")
    with pytest.raises(errors.BadCombination) as caught:
        api.prepare(request_for("tiny", override, resume=True), FakeLauncher())
    assert caught.value.where == f"-o {key}"


# ---------------------------------------------------------------------------- profiles


@pytest.fixture
def profiled(request_for: Any, tmp_path: Path) -> Any:
    """A request with profiles of the ranks that it will have."""
    found.write_here(api.prepare(request_for(), FakeLauncher()), tmp_path / "known.json")
    return lambda *words, **rest: request_for(*words, profiles=Path("known.json"), **rest)


def test_what_is_known_of_the_ranks_goes_into_the_run_s_folder(profiled: Any) -> None:
    ready = api.prepare(profiled(), FakeLauncher())
    assert ready.profiles is not None
    assert ready.notes == ready.plan.notes
    run = api.start(ready, FakeLauncher())
    assert set(measured.speeds_of(run)) == {0, 1}


def test_profiles_that_do_not_fit_stop_it_before_anything_is_written(
    profiled: Any, tmp_path: Path
) -> None:
    with pytest.raises(errors.ProfilesUnfit, match=r"train\.precision"):
        api.prepare(profiled("tiny.toml", "train.precision=bf16"), FakeLauncher())
    with pytest.raises(errors.ProfilesUnfit, match="rank 2 is planned"):
        api.prepare(profiled(workers=3), FakeLauncher())
    assert {p.name for p in tmp_path.iterdir()} == {"tiny.toml", "known.json"}


def test_a_resumed_run_keeps_to_what_its_first_start_was_told(profiled: Any) -> None:
    run = api.start_run(profiled(), FakeLauncher())
    ended(run, "stopped")
    again = profiled(resume=True)
    ready = api.prepare(replace(again, profiles=None), FakeLauncher())
    assert ready.profiles is not None
    api.start(ready, FakeLauncher())
    assert set(measured.speeds_of(run)) == {0, 1}


def test_on_other_ranks_a_resumed_run_forgets_it_and_says_so(profiled: Any) -> None:
    run = api.start_run(profiled(), FakeLauncher())
    ended(run, "stopped")
    again = replace(profiled(resume=True, workers=3), profiles=None)
    ready = api.prepare(again, FakeLauncher())
    assert "no longer holds" in " ".join(ready.notes)
    api.start(ready, FakeLauncher())
    assert measured.speeds_of(run) == {}


def test_a_bench_that_failed_is_no_run_to_resume(request_for: Any) -> None:
    ready = bench.prepare(request_for())
    assert (ready.name, ready.plan.purpose) == ("bench-tiny", placement.BENCH)
    ended(api.start(ready, FakeLauncher()), "failed")
    with pytest.raises(errors.NothingToResume, match="is a bench"):
        api.prepare(request_for("bench-tiny", resume=True), FakeLauncher())


# -------------------------------------------------------------------------------- stop


def test_a_stop_is_passed_on_while_something_lives(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    living = FakeLauncher([True])
    assert api.stop_run(run, now=True, launcher=living)
    assert living.stops == [True]
    gone = FakeLauncher([False])
    assert not api.stop_run(run, launcher=gone)
    assert gone.stops == []
