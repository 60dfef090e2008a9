"""Who asks for a generation and is then not there is answered less and less often."""

from __future__ import annotations

from evener.membership.callers import (
    FALLS,
    FIRST_S,
    LONGEST_S,
    QUICK_S,
    REST_MOST_S,
    REST_S,
    Callers,
)
from evener.membership.words import Plea, Rests

DEAD_S = 3.0
BOTH, ALONE = ["a00", "a01"], ["a00"]


def test_who_comes_is_always_answered() -> None:
    callers = Callers(DEAD_S)
    for now in range(10):
        assert callers.heard("a01", float(now))
        callers.decided(["a00", "a01"], float(now))


def test_who_misses_its_own_generation_waits_longer_each_time() -> None:
    callers, now, waits = Callers(DEAD_S), 0.0, []
    for _ in range(12):
        began = now
        while not callers.heard("a01", now):
            now += 1.0
        waits.append(now - began)
        callers.decided(["a00"], now)
    assert waits[:4] == [0.0, 0.0, FIRST_S, 2 * FIRST_S]
    assert max(waits) == LONGEST_S


def test_others_are_answered_meanwhile_and_coming_once_is_enough() -> None:
    callers = Callers(DEAD_S)
    for _ in range(3):
        assert callers.heard("a01", 1000.0 * _)
        callers.decided(["a00"], 1000.0 * _)
    assert not callers.heard("a01", 2001.0)
    assert callers.heard("a02", 2001.0)
    callers.decided(["a00", "a01", "a02"], 2001.0)
    assert callers.heard("a01", 2001.0)


def test_who_falls_out_again_and_again_rests_longer_each_time() -> None:
    callers, now = Callers(DEAD_S), 0.0
    rests: list[float] = []
    for falls in range(1, 10):
        callers.decided(BOTH, now)
        now += QUICK_S + DEAD_S - 1.0
        for told in callers.decided(ALONE, now):
            assert told == Rests("a01", falls, told.for_s)
            rests.append(told.for_s)
            urgent = Plea("a01", "ballot 3 stalls", True)
            assert not callers.heard("a01", now + told.for_s - 0.1)
            assert not callers.urges(urgent, now + told.for_s - 0.1)
            now += told.for_s
            assert callers.heard("a01", now)
            assert callers.urges(urgent, now)
    assert rests[:3] == [REST_S, 2 * REST_S, 4 * REST_S]
    assert rests[-1] == REST_MOST_S
    assert len(rests) == 10 - FALLS


def test_who_stays_long_enough_is_forgiven_and_whom_another_ballot_lets_in_rests_no_more() -> None:
    callers, now = Callers(DEAD_S), 0.0
    for _ in range(FALLS):
        callers.decided(BOTH, now)
        told = callers.decided(ALONE, now + 1.0)
        now += 2.0
    assert told
    assert not callers.heard("a01", now)
    callers.decided(BOTH, now)
    now += QUICK_S + DEAD_S
    assert callers.decided(ALONE, now) == []
    assert callers.heard("a01", now)
