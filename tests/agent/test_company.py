"""Who is here, who may still come, who leads: as connections come and go."""

from __future__ import annotations

from evener.agent.company import UNSEEN_S, Company
from evener.membership import words
from evener.membership.generation import Ballot

LATER = UNSEEN_S + 1


def test_the_lowest_id_leads_once_no_lower_one_is_awaited() -> None:
    company = Company("a01", ["a00", "a02"], now=0.0)
    assert not company.leads(0.0)
    assert company.leads(LATER)
    company.seen("a00", here=True)
    assert not company.leads(LATER)
    company.seen("a00", here=False)
    assert company.leads(LATER)


def test_who_said_goodbye_is_not_alive_until_it_is_back() -> None:
    company = Company("a00", ["a01"], now=0.0)
    company.seen("a01", here=True)
    company.heard(words.Goodbye("a01", done=False))
    assert company.alive(0.0) == set()
    company.seen("a01", here=True)
    assert company.alive(0.0) == {"a01"}


def test_who_was_turned_away_is_news_once_and_not_awaited() -> None:
    company = Company("a00", ["a01"], now=0.0)
    assert company.turn_away("a01")
    assert not company.turn_away("a01")
    assert company.awaited(0.0) == set()
    company.seen("a01", here=True)  # with the right version
    assert company.turn_away("a01")


def test_before_anybody_trains_all_that_are_here_or_may_come_will() -> None:
    """One that is told to go then leaves them to their work, instead of ending the run for all."""
    company = Company("a00", ["a01"], now=0.0)
    assert company.everybody(0.0) == {"a00", "a01"}
    assert Company("a00", [], now=0.0).everybody(0.0) == {"a00"}


def test_whether_others_train_is_known_when_all_have_told() -> None:
    company, none = Company("a00", ["a01", "a02"], now=0.0), Ballot(0, "")
    company.heard(words.Heartbeat("a01", none, None, -1, False))
    assert company.trains(0.0) is None
    assert company.trains(LATER) is False
    company.seen("a02", here=True)
    company.heard(words.Heartbeat("a02", none, Ballot(3, "a01"), 7, False))
    assert company.trains(0.0)
    company.seen("a02", here=False)
    assert company.trains(LATER) is False
