"""What agents promise each other, and what becomes of messages that are lost, late or doubled."""

from __future__ import annotations

import pytest

from evener.membership import words
from evener.membership.generation import Ballot, Generation
from tests.membership.bench import SETTINGS, Bench, after, forms, halts, member, sent

A0, B1, C2 = member("a", 0), member("b", 1), member("c", 2)


def test_a_lower_ballot_is_refused_and_a_repeated_one_is_answered_again() -> None:
    bench = Bench("ab", ranks=2)
    bench.train(A0, B1)
    high, low = Ballot(9, "a"), Ballot(8, "a")
    bench.hear("b", words.Prepare("a", high, True))
    assert list(sent(bench.halted(B1, step=2), words.Ready))

    assert list(sent(bench.hear("b", words.Prepare("a", low, True)), words.Refused)) == [
        words.Refused("b", high)
    ]
    again = bench.hear("b", words.Prepare("a", high, True))
    assert len(list(sent(again, words.Ready))) == 1
    assert halts(again) == []


def test_a_generation_is_accepted_for_the_promised_ballot_only_and_once() -> None:
    bench = Bench("ab", ranks=2)
    bench.train(A0, B1)
    promised = Ballot(9, "a")
    bench.hear("b", words.Prepare("a", promised, True))
    bench.halted(B1, step=2)

    for ballot in (Ballot(8, "a"), Ballot(10, "a"), Ballot(9, "c")):
        assert bench.hear("b", words.Go("a", Generation(ballot, (B1,), 2, 0))) == []
    go = words.Go("a", Generation(promised, (B1,), 2, 0))
    assert len(forms(bench.hear("b", go))) == 1
    assert bench.hear("b", go) == []


def test_a_late_prepare_of_the_current_generation_changes_nothing() -> None:
    bench = Bench("ab", ranks=2)
    current = bench.train(A0, B1)

    assert bench.hear("b", words.Prepare("a", current.ballot, True)) == []


def test_who_is_refused_takes_a_higher_number() -> None:
    bench = Bench("ab", ranks=2)
    bench.train(A0, B1)
    bench.tell("a", words.RankDown(0, 0))

    outputs = bench.hear("a", words.Refused("b", Ballot(40, "z")))

    assert words.Prepare("a", Ballot(41, "a"), True) in [*sent(outputs, words.Prepare)]


def test_a_heartbeat_tells_a_leader_that_it_is_outbid() -> None:
    bench = Bench("ab", ranks=2)
    bench.train(A0, B1)
    bench.tell("a", words.RankDown(0, 0))
    bench.lose_post()

    outputs = bench.hear("a", words.Heartbeat("b", Ballot(40, "z"), None, 0, False))

    assert words.Prepare("a", Ballot(41, "a"), True) in [*sent(outputs, words.Prepare)]


def test_a_ballot_of_a_former_life_is_not_used_again() -> None:
    """Whoever still is in it would take our new generation for its own."""
    bench = Bench("ab", ranks=2)
    bench.up(A0)
    opened = bench.machines["a"].promised

    outputs = bench.hear("a", words.Heartbeat("b", opened, opened, 5, False, ("b",)))

    assert words.Prepare("a", after(opened), False) in [*sent(outputs, words.Prepare)]


def test_a_generation_of_a_former_life_is_not_taken_for_the_own() -> None:
    bench = Bench("a", ranks=1)
    ours = bench.train(A0)
    theirs = words.Heartbeat("b", ours.ballot, ours.ballot, 5, False, agents=("a", "b"))
    for _ in range(30):
        bench.now += 0.1
        bench.hear("a", theirs)

    assert bench.machines["a"].promised == after(ours.ballot)


def test_only_the_own_leader_is_promised_anything() -> None:
    """Or two who do not hear each other would outbid one another for ever over a third."""
    bench = Bench("abc", ranks=3)
    current = bench.train(A0, B1, C2)

    outputs = bench.hear("c", words.Prepare("b", after(current.ballot, "b"), True))

    assert list(sent(outputs, words.Refused)) == [words.Refused("c", current.ballot)]
    assert bench.machines["c"].promised == current.ballot


def test_a_lost_plea_is_repeated_with_the_heartbeat_until_it_is_served() -> None:
    bench = Bench("ab", ranks=2)
    bench.train(A0, B1)
    bench.tell("b", words.RankBroken(1, 0, bench.generation.ballot))
    bench.lose_post()
    bench.now += SETTINGS.heartbeat_s / 2
    assert list(sent(bench.tell("b", words.Tick()), words.Plea)) == []

    bench.now += SETTINGS.heartbeat_s / 2
    assert len(list(sent(bench.tell("b", words.Tick()), words.Plea))) == 1
    bench.deliver()
    assert bench.machines["b"].promised.number > 1

    bench.now += SETTINGS.heartbeat_s
    assert list(sent(bench.tell("b", words.Tick()), words.Plea)) == []


def test_a_lost_prepare_is_repeated() -> None:
    bench = Bench("ab", ranks=2)
    bench.train(A0, B1)
    bench.tell("a", words.RankDown(0, 0))
    bench.lose_post()
    assert bench.halts("b") == []

    bench.wait(2 * SETTINGS.heartbeat_s)

    assert [h.urgent for h in bench.halts("b")] == [True]


def test_a_lost_go_is_repeated() -> None:
    bench = Bench("ab", ranks=2)
    bench.train(A0, B1)
    bench.tell("b", words.RankBroken(1, 0, bench.generation.ballot))
    bench.deliver()
    bench.halted(B1, step=2)
    bench.deliver()
    bench.halted(A0, step=2)
    bench.lose_post()
    assert bench.forms("b") == []

    bench.wait(2 * SETTINGS.heartbeat_s)

    assert bench.forms("b") == bench.forms("a") == [bench.generation]


def test_a_lost_ready_is_repeated() -> None:
    bench = Bench("ab", ranks=2)
    bench.train(A0, B1)
    bench.tell("a", words.RankDown(0, 0))
    bench.deliver()
    bench.halted(B1, step=2)
    bench.lose_post()

    bench.wait(2 * SETTINGS.heartbeat_s)

    assert bench.members() == (B1,)


def test_a_generation_with_a_rank_that_died_since_is_not_formed() -> None:
    """Its group could never meet: the next ballot is asked for with the same breath."""
    bench = Bench("ab", ranks=3)
    bench.train(A0, B1, member("b", 2))
    ballot = Ballot(9, "a")
    bench.hear("b", words.Prepare("a", ballot, True))
    bench.halted(B1, step=2)
    bench.halted(member("b", 2), step=2)
    bench.tell("b", words.RankDown(2, 0))

    outputs = bench.hear("b", words.Go("a", Generation(ballot, (A0, B1, member("b", 2)), 2, 0)))

    assert forms(outputs) == []
    assert list(sent(outputs, words.Plea))


def test_a_generation_that_never_met_is_not_the_last_one() -> None:
    """Others may not even know of it, and have gone on from the one before."""
    bench = Bench("ab", ranks=2)
    before = bench.train(A0, B1)
    for number in (9, 10):
        bench.hear("b", words.Prepare("a", Ballot(number, "a"), True))
        (ready,) = sent(bench.halted(B1, step=2), words.Ready)
        assert isinstance(ready, words.Ready)
        assert ready.last == before
        bench.hear("b", words.Go("a", Generation(Ballot(number, "a"), (A0, B1), 2, 0)))


def test_a_newcomer_whose_first_generation_never_met_has_none() -> None:
    bench = Bench("ab", ranks=2)
    bench.up(B1)
    for number in (9, 10):
        (ready,) = sent(bench.hear("b", words.Prepare("a", Ballot(number, "a"), True)), words.Ready)
        assert isinstance(ready, words.Ready)
        assert ready.last is None
        go = words.Go("a", Generation(Ballot(number, "a"), (A0, B1), 2, 0))
        assert len(forms(bench.hear("b", go))) == 1
        bench.tell("b", words.RankBroken(1, 0, Ballot(number, "a")))
        bench.tell("b", words.RankHalted(1, 0, Ballot(number + 1, "a"), -1))


@pytest.mark.parametrize("met", [True, False])
def test_a_generation_of_others_counts_once_they_say_that_they_met(met: bool) -> None:
    """An agent without ranks is asked, too. From one that never met others may have turned back."""
    bench = Bench("ab", ranks=2)
    bench.train(A0, B1)
    bench.tell("b", words.RankDown(1, 0))
    bench.deliver()
    bench.halted(A0, step=2)
    bench.deliver()
    assert bench.members() == (A0,)
    if met:
        bench.formed(bench.generation, 2)
    bench.wait(SETTINGS.heartbeat_s)

    outputs = bench.hear("b", words.Prepare("a", after(bench.generation.ballot), True))

    (ready,) = sent(outputs, words.Ready)
    assert isinstance(ready, words.Ready)
    assert ready.last is not None
    assert (ready.last == bench.generation) is met
