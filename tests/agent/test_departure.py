"""One goes and the others stay; all go, and stop together first."""

from __future__ import annotations

from evener.agent.departure import TOGETHER_S, Departure, Move

ALL = {"a00", "a01"}


def test_who_stays_does_nothing() -> None:
    departure = Departure("a00")
    departure.goes("a01")
    assert departure.move(ALL, 100.0) is Move.WAIT


def test_one_that_goes_alone_leaves_after_a_moment() -> None:
    departure = Departure("a00")
    departure.begin(1.0, returns=True)
    assert departure.move(ALL, 1.0) is Move.WAIT
    assert departure.move(ALL, 1.0 + TOGETHER_S) is Move.LEAVE


def test_one_that_is_told_twice_waits_no_longer() -> None:
    departure = Departure("a00")
    assert "goes away" in departure.begin(1.0, returns=False)
    assert departure.begin(1.5, returns=False) == ""
    assert departure.move(ALL, 1.5) is Move.LEAVE
    assert not departure.returns


def test_all_that_train_stop_together_and_are_told_once() -> None:
    departure = Departure("a00")
    departure.goes("a01")
    departure.begin(1.0, returns=True)
    assert departure.move(ALL, 1.0) is Move.STOP
    assert departure.together
    assert departure.move(ALL, 100.0) is Move.WAIT  # ranks take the time that they take


def test_all_that_train_and_go_for_good_stop_the_run() -> None:
    departure = Departure("a00")
    departure.goes("a01")
    departure.begin(1.0, returns=False)
    assert departure.move(ALL, 1.0) is Move.STOP
    assert not departure.together  # what the crew says then is the end of the run


def test_without_company_or_before_the_start_there_is_nothing_to_wait_for() -> None:
    for training in ({"a00"}, set[str]()):
        departure = Departure("a00")
        departure.begin(1.0, returns=True)
        assert departure.move(training, 1.0) is Move.STOP


def test_who_is_back_does_not_go() -> None:
    departure = Departure("a00")
    departure.goes("a01")
    departure.returned("a01")
    departure.begin(1.0, returns=True)
    assert departure.move(ALL, 1.0) is Move.WAIT


def test_the_end_of_the_run_comes_first() -> None:
    departure = Departure("a00")
    departure.begin(1.0, returns=True)
    departure.call_off()
    assert departure.move({"a00"}, 100.0) is Move.WAIT
    assert not departure.together
