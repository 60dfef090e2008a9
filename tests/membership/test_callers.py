"""Who asks for a generation and is then not there is answered less and less often."""

from __future__ import annotations

from evener.membership.callers import FIRST_S, LONGEST_S, Callers


def test_who_comes_is_always_answered() -> None:
    callers = Callers()
    for now in range(10):
        assert callers.heard("a01", float(now))
        callers.decided(["a00", "a01"], float(now))


def test_who_misses_its_own_generation_waits_longer_each_time() -> None:
    callers, now, waits = Callers(), 0.0, []
    for _ in range(12):
        began = now
        while not callers.heard("a01", now):
            now += 1.0
        waits.append(now - began)
        callers.decided(["a00"], now)
    assert waits[:4] == [0.0, 0.0, FIRST_S, 2 * FIRST_S]
    assert max(waits) == LONGEST_S


def test_others_are_answered_meanwhile_and_coming_once_is_enough() -> None:
    callers = Callers()
    for _ in range(3):
        assert callers.heard("a01", 1000.0 * _)
        callers.decided(["a00"], 1000.0 * _)
    assert not callers.heard("a01", 2001.0)
    assert callers.heard("a02", 2001.0)
    callers.decided(["a00", "a01", "a02"], 2001.0)
    assert callers.heard("a01", 2001.0)
