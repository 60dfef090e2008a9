"""Who dies again and again comes back later each time, then gets less, or is left out."""

from __future__ import annotations

import pytest

from evener.agent.relapse import OUT_S, QUICK_S, TRIES, Relapse, Sentence


def dying(times: int, *, for_memory: bool = False, trained_s: float = 0.0) -> Relapse:
    relapse = Relapse()
    for number in range(times):
        relapse.died(trained_s, f"was killed ({number})", for_memory, 100.0)
    return relapse


@pytest.mark.parametrize(
    ("deaths", "wait_s"), [(0, 0.0), (1, 0.0), (2, 1.0), (3, 2.0), (4, 4.0), (20, 30.0)]
)
def test_each_quick_death_is_answered_later(deaths: int, wait_s: float) -> None:
    relapse = dying(deaths)
    if wait_s:
        assert relapse.rests(100.0 + wait_s - 0.1, alone=False)
    assert not relapse.rests(100.0 + wait_s, alone=False)


def test_who_trained_for_long_has_not_died_of_the_same() -> None:
    assert dying(20, trained_s=QUICK_S).quick == 0
    relapse = dying(2)
    relapse.died(QUICK_S, "was killed", False, 200.0)
    assert not relapse.rests(200.0, alone=False)
    relapse.died(0.0, "hung", False, 300.0)
    assert relapse.cause == "hung"


@pytest.mark.parametrize(
    ("deaths", "for_memory", "less", "out", "wanted"),
    [
        (TRIES - 1, True, True, True, Sentence.AGAIN),
        (TRIES, True, True, True, Sentence.LESS),
        (TRIES, True, False, True, Sentence.OUT),
        (TRIES, False, True, True, Sentence.OUT),
        (TRIES, False, True, False, Sentence.AGAIN),
    ],
)
def test_what_is_done_about_it(
    deaths: int, for_memory: bool, less: bool, out: bool, wanted: Sentence
) -> None:
    relapse = dying(deaths, for_memory=for_memory)
    assert relapse.sentence(may_have_less=less, may_be_out=out) is wanted


def test_one_death_of_another_cause_and_memory_is_not_what_kills_it() -> None:
    relapse = dying(2, for_memory=True)
    relapse.died(0.0, "was killed", False, 100.0)
    assert relapse.sentence(may_have_less=True, may_be_out=True) is Sentence.OUT


def test_who_is_left_out_is_tried_again_and_at_once_where_nobody_else_is_there() -> None:
    relapse = dying(TRIES)
    relapse.leave_out(100.0)
    assert relapse.rests(100.0 + OUT_S - 1, alone=False)
    assert not relapse.rests(100.0 + OUT_S, alone=False)
    relapse.leave_out(1000.0)
    assert not relapse.rests(1001.0, alone=True)
    relapse.died(0.0, "was killed", False, 1001.0)
    assert relapse.rests(1002.0, alone=True)  # but not faster than with others


def test_the_first_cause_is_what_is_told() -> None:
    assert dying(3).story == (
        "it died 3 times soon after it had joined, the first time: was killed (0)"
    )
