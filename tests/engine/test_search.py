"""How many samples at once: doubled while it pays."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from evener.engine.search import Search


def searched(most: int, seconds: Callable[[int], float]) -> Search:
    search = Search(most)
    while not search.over:
        search.take(seconds(search.size))
    return search


def test_it_ends_where_more_at_once_are_no_faster() -> None:
    search = searched(1024, lambda n: 0.001 * n if n > 8 else 0.008)
    assert [n for n, _ in search.points] == [1, 2, 4, 8, 16, 32]
    assert (search.best, search.size) == (8, 8)
    assert search.over == "more samples at once are no faster"


def test_it_goes_on_to_an_even_share() -> None:
    search = Search(100, fair=20)
    while not search.over:
        search.take(0.01 * search.size)
    assert [n for n, _ in search.points] == [1, 2, 4, 8, 16, 32]
    assert search.best == 1


def test_one_busy_moment_is_not_the_end() -> None:
    search = searched(64, lambda n: 0.05 if n == 4 else 0.01)
    assert (search.points[-1][0], search.best) == (64, 64)


def test_the_whole_batch_is_the_end_though_it_is_no_power_of_two() -> None:
    search = searched(24, lambda n: 0.01)
    assert [n for n, _ in search.points] == [1, 2, 4, 8, 16, 24]
    assert search.over == "that is the whole batch"


def test_who_gives_up_keeps_what_it_has() -> None:
    search = Search(64)
    assert (search.size, search.expected_s) == (1, 0.0)
    search.take(0.01)
    assert search.expected_s == 0.02
    search.give_up("there is no memory for more")
    search.give_up("another reason")
    assert (search.over, search.best) == ("there is no memory for more", 1)


def test_the_line_is_that_of_the_points() -> None:
    speed = searched(64, lambda n: 0.02 + 0.003 * n).speed
    assert speed.time_s(32) == pytest.approx(0.02 + 0.003 * 32, rel=0.05)
    assert speed.time_s(64) == pytest.approx(0.02 + 0.003 * 64, rel=0.05)
