"""Reading a run: once, while it grows, and when nobody is left who could end it."""

from __future__ import annotations

import dataclasses
import json
import time
from contextlib import ExitStack
from pathlib import Path

from evener import events, watch
from evener.events import Record
from evener.launch.base import HeadPlace
from evener.rundir.layout import RunDir
from evener.rundir.store import Store
from evener.watch import follow, look, present
from tests.head.serving import SECRET, in_thread
from tests.synthetic_run import FakeLauncher, Script, records, run_with, started

TOLD = list(records(Script(steps=30, validate_every=10)))
UNENDED = [r for r in TOLD if not isinstance(r.event, events.RunEnded | events.AgentEnded)]


class Life:
    """A clock that sleeping moves, and things that happen while one sleeps."""

    def __init__(self, run: RunDir, *then: list[Record]) -> None:
        self.now = 0.0
        self._run = run
        self._then = list(then)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self._then:
            with Store.open(self._run.db, write=True) as store:
                store.append(self._then.pop(0))


def test_a_look_ends_with_the_present(tmp_path: Path) -> None:
    run = run_with(tmp_path, TOLD)
    glances = list(look(run, FakeLauncher()))
    assert glances[-1].over
    assert [r for g in glances for r in g.records] == TOLD


def test_a_validation_that_several_ranks_tell_is_handed_out_once(tmp_path: Path) -> None:
    at, told = next((n, r) for n, r in enumerate(TOLD) if isinstance(r.event, events.Validated))
    again = dataclasses.replace(told, source="a00", number=1)
    run = run_with(tmp_path, [*TOLD[: at + 1], again, *TOLD[at + 1 :]])
    assert [r for g in look(run, FakeLauncher()) for r in g.records] == TOLD


def test_a_run_without_processes_and_without_an_end_has_vanished(tmp_path: Path) -> None:
    run = run_with(tmp_path, UNENDED)
    now = present(run, FakeLauncher())
    assert now.phase == "failed"
    assert now.error is not None
    assert now.error["code"] == "E604"
    assert "evener resume demo" in now.error["fix"]
    with Store.open(run.db, write=False) as store:
        assert not any(isinstance(r.event, events.RunEnded) for r in store.records())


def test_a_run_with_processes_goes_on(tmp_path: Path) -> None:
    run = run_with(tmp_path, UNENDED)
    assert present(run, FakeLauncher([True])).phase == "training"


def test_a_run_that_was_recorded_a_moment_ago_is_only_young(tmp_path: Path) -> None:
    run = run_with(tmp_path, [Record(started(Script()), time.time(), "launcher", 1)])
    assert present(run, FakeLauncher()).phase == "starting"
    old = Record(started(Script()), time.time() - watch.STARTING_S - 1, "launcher", 1)
    assert present(run_with(tmp_path, [old], "old"), FakeLauncher()).phase == "failed"


def test_a_record_that_must_be_read_from_the_head_is(tmp_path: Path) -> None:
    run = run_with(tmp_path, UNENDED)
    with in_thread(run) as address:
        there = FakeLauncher(living=[True], heads=[HeadPlace(address, SECRET)])
        run.db.rename(tmp_path / "elsewhere")  # nobody else could read it now
        glances = list(look(run, there))
    assert [r for g in glances for r in g.records] == UNENDED


def test_a_head_that_is_lost_in_the_middle_repeats_nothing(tmp_path: Path) -> None:
    run = run_with(tmp_path, TOLD[:10])
    launcher = FakeLauncher(living=[False])  # not asked for as long as the head answers
    with ExitStack() as stack:
        launcher.heads = [HeadPlace(stack.enter_context(in_thread(run)), SECRET)]
        with watch.Watch(run, launcher) as reader:
            assert [r for g in reader.read() for r in g.records] == TOLD[:10]
            assert reader.alive
            stack.close()
            with Store.open(run.db, write=True) as store:
                store.append(TOLD[10:])
            assert [r for g in reader.read() for r in g.records] == TOLD[10:]
            assert not reader.hears_head
            assert not reader.alive


def test_what_agents_could_not_deliver_is_found_before_a_run_is_given_up(tmp_path: Path) -> None:
    run = run_with(tmp_path, UNENDED)
    ended = Record(events.RunEnded("finished", 30), 1.0, "a00", 1)
    run.spool("a00").write_text(json.dumps(events.to_dict(ended)) + "\n")
    assert present(run, FakeLauncher()).phase == "finished"


def test_following_hands_out_each_record_once_and_ends_with_the_run(tmp_path: Path) -> None:
    run = run_with(tmp_path, TOLD[:20])
    life = Life(run, TOLD[20:40], [], TOLD[40:])
    launcher = FakeLauncher([True, True, True, True, False])
    glances = list(follow(run, launcher, sleep=life.sleep, clock=life.clock))
    assert [r for g in glances for r in g.records] == TOLD
    assert glances[-1].state.phase == "finished"
    assert not any(g.over for g in glances[:3])


def test_following_stays_until_the_processes_are_gone_but_not_for_ever(tmp_path: Path) -> None:
    run = run_with(tmp_path, TOLD)
    for living, stays in (([True, True, False], True), ([True], False)):
        life = Life(run)
        launcher = FakeLauncher(list(living))
        list(follow(run, launcher, sleep=life.sleep, clock=life.clock))
        assert (life.now < 1.0) == stays
        assert life.now <= watch.PARTING_S + watch.POLL_S


def test_following_a_run_that_vanishes_waits_a_little_then_says_so(tmp_path: Path) -> None:
    run = run_with(tmp_path, UNENDED)
    life = Life(run)
    launcher = FakeLauncher([True, True, False])
    glances = list(follow(run, launcher, sleep=life.sleep, clock=life.clock))
    assert glances[-1].state.error is not None
    assert glances[-1].state.error["code"] == "E604"
    assert FakeLauncher().vanished_s <= life.now < FakeLauncher().vanished_s + 1.0


def test_processes_that_are_missing_for_a_moment_are_not_gone(tmp_path: Path) -> None:
    run = run_with(tmp_path, UNENDED)
    nearly = int(FakeLauncher().vanished_s / watch.POLL_S) - 1
    life = Life(run, *[[]] * (2 * nearly + 2), TOLD)
    missing = [False] * nearly
    launcher = FakeLauncher([True, *missing, True, *missing, True, False])
    glances = list(follow(run, launcher, sleep=life.sleep, clock=life.clock))
    assert glances[-1].state.phase == "finished"


def test_of_a_resumed_run_only_the_last_start_is_told_but_all_is_known(tmp_path: Path) -> None:
    first = UNENDED[:60]
    again = dataclasses.replace(TOLD[0], number=10_000, event=started(Script(), resumed=True))
    run = run_with(tmp_path, [*first, again])
    life = Life(run, TOLD[60:])
    launcher = FakeLauncher([True, False])
    glances = list(follow(run, launcher, sleep=life.sleep, clock=life.clock))
    assert glances[0].records == (again,)
    assert glances[0].state.step > 0
    assert glances[-1].state.resumed
