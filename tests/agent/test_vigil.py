"""When a process that lives counts as lost, by a clock of the test's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pytest

from evener.agent import vigil
from evener.agent.child import Child
from evener.agent.ranks import RankProcess, Stage
from evener.config.schema import Membership as MembershipConfig
from evener.membership.generation import Ballot

CONFIG = MembershipConfig(dead_s=3.0, halt_s=10.0)
BALLOT = Ballot(2, "a00")


@dataclass
class Process:
    """What `judge` looks at of a child."""

    suspended: bool = False


def rank(stage: Stage = Stage.UP, **facts: Any) -> RankProcess:
    child = cast("Child", Process(facts.pop("suspended", False)))
    return RankProcess(child, 0.0, stage, **{"training": stage is Stage.UP, **facts})


def verdict(
    process: RankProcess,
    after_s: float,
    *,
    pace: vigil.Pace | None = None,
    others_move: bool = True,
    **view: bool,
) -> str:
    """What is found after `after_s` of nothing new."""
    states = {"stopping": False, "over": False} | view
    found = None
    for now in (0.0, after_s):
        process.heart.heard(int(now), resting=True, now=now)
        look = vigil.View(now, CONFIG, pace or stepping(1.0), **states)
        found = vigil.judge(process, look, others_move=others_move)
    return found.why if found else ""


def stepping(each_s: float) -> vigil.Pace:
    pace = vigil.Pace()
    pace.begin(0, 100.0)
    pace.note(1, 100.0 + each_s)
    return pace


@pytest.mark.parametrize(
    ("process", "patience_s", "words"),
    [
        (rank(Stage.STARTING), 180, "did not call"),
        (rank(left=True), 1, "closed its line"),
        (rank(urged=BALLOT), 10 + 3, "did not stop within 13 s of being told"),
        (rank(suspended=True), 3, "was suspended"),
        (rank(Stage.PARTED), 30, "of saying so"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_patience_ends(process: RankProcess, patience_s: float, words: str) -> None:
    assert verdict(process, patience_s) == ""
    assert words in verdict(process, patience_s + 0.1)


@pytest.mark.parametrize("stage", [Stage.WARM, Stage.BUILDING, Stage.UP])
def test_a_slow_process_is_no_lost_one(stage: Stage) -> None:
    assert verdict(rank(stage), 86_400) == ""


def test_a_rank_deep_in_a_long_step_is_given_that_step() -> None:
    assert verdict(rank(urged=BALLOT), 10 + 3 * 60, pace=stepping(60)) == ""
    assert verdict(rank(urged=BALLOT), 10 + 3 * 60 + 1, pace=stepping(60))
    assert verdict(rank(urged=BALLOT), 299, pace=vigil.Pace()) == ""  # nobody knows yet


def test_who_suspends_the_whole_run_may_do_so() -> None:
    assert verdict(rank(suspended=True), 3600, others_move=False) == ""


def test_an_answer_starts_the_clock_anew() -> None:
    process = rank(urged=BALLOT)
    assert verdict(process, 12.9) == ""
    process.answered(Ballot(1, "a00"))  # to something older
    assert process.urged == BALLOT
    process.answered(BALLOT)
    process.urge(Ballot(3, "a00"))
    assert verdict(process, 12.9) == ""


def test_once_some_have_ended_the_others_are_expected_to() -> None:
    assert verdict(rank(), 60, over=True) == ""
    assert "of the others" in verdict(rank(), 60.1, over=True)
    assert verdict(rank(training=False), 0, over=True) == "had no work left"
    assert verdict(rank(Stage.WARM), 3600, over=True) == ""


def test_what_a_script_does_after_its_loop_takes_as_long_as_it_takes() -> None:
    assert verdict(rank(afterwards=True), 3600, over=True) == ""


def test_a_parked_rank_is_let_be_until_the_end() -> None:
    aside = rank(training=False, parked=True)
    assert verdict(aside, 86_400) == ""
    assert verdict(rank(training=False, parked=True, suspended=True), 86_400) == ""
    assert verdict(aside, vigil.ASIDE_S, over=True) == ""
    assert "though it was parked" in verdict(aside, vigil.ASIDE_S + 0.1, over=True)
    assert verdict(rank(training=True), 86_400) == ""  # stands at a boundary, nobody asked


def test_a_stop_is_waited_for_but_not_for_ever() -> None:
    limit_s = vigil.WIND_S + 10 + 3
    assert verdict(rank(), limit_s, stopping=True) == ""
    assert "did not stop" in verdict(rank(), limit_s + 1, stopping=True)


def test_the_pace_is_that_of_the_slowest_step_within_a_group() -> None:
    pace = vigil.Pace()
    assert pace.slowest_s is None
    pace.begin(10, 0.0)
    pace.note(12, 4.0)
    pace.note(12, 50.0)  # of another rank, late
    pace.begin(12, 1000.0)  # forming anew was no step
    pace.note(13, 1001.0)
    assert pace.slowest_s == 2.0


def test_a_machine_of_a_tenth_of_a_processor_has_ten_times_as_long_to_start() -> None:
    process = rank(Stage.STARTING)
    found = [
        vigil.judge(
            process,
            vigil.View(now, CONFIG, stepping(1.0), stopping=False, over=False, cpus=0.1),
            others_move=True,
        )
        for now in (0.0, 1800.0, 1801.0)
    ]
    assert found == [None, None, vigil.Verdict("did not call its agent within 1800 s")]


def judged(process: RankProcess, now: float, **view: bool) -> vigil.Verdict | None:
    states = {"stopping": False, "over": False} | view
    return vigil.judge(process, vigil.View(now, CONFIG, stepping(1.0), **states), others_move=True)


def beating(**facts: Any) -> RankProcess:
    """One that got on every two seconds, until 10 s."""
    process = rank(**facts)
    process.heart.begin(0.0)
    for beats in range(6):
        process.heart.heard(beats, resting=False, now=2.0 * beats)
    return process


def test_who_shows_no_sign_of_getting_on_hangs() -> None:
    assert judged(beating(), 10 + 30) is None
    found = judged(beating(), 10 + 31)
    assert found == vigil.Verdict("made no progress for 31 s; its log says where it hung", True)
    assert judged(beating(), 10 + 31, compiles=True) is None
    assert judged(beating(suspended=True, training=True), 10 + 2.9) is None
    assert judged(beating(training=False), 3600) is None  # nothing is expected of it


def test_who_waits_for_others_does_not_hang() -> None:
    process = beating()
    process.heart.heard(5, resting=True, now=3600)
    assert judged(process, 3601) is None


def test_a_hang_is_longer_than_ten_times_what_was_usual() -> None:
    process = beating()
    process.heart.heard(6, resting=False, now=10 + 20)
    assert judged(process, 30 + 200) is None
    assert judged(process, 30 + 201) is not None


def test_a_first_step_may_take_minutes() -> None:
    process = rank()
    process.heart.begin(0.0)
    process.heart.heard(0, resting=False, now=1.0)
    assert judged(process, 301) is None
    assert judged(process, 302) is not None
