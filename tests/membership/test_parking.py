"""Ranks that stand aside: when the others go on without them, and when they are back."""

from __future__ import annotations

from itertools import product

import pytest

from evener.membership import words
from evener.membership.generation import Ballot, Generation, Member
from evener.membership.round import decide, may_go_on
from evener.membership.words import Ready, Standing
from tests.membership.bench import SETTINGS, Bench, forms, halts, member

A0, A1, A2 = (member("a", rank) for rank in range(3))
B1, C2 = member("b", 1), member("c", 2)
LONE = Generation(Ballot(1, "a"), (A0,), 0, 0)


def parked(bench: Bench, agent: str, rank: int) -> list[words.Output]:
    ballot = bench.generation.ballot
    return bench.tell(agent, words.RankParked(rank, 0, ballot))


def without_b(agents: str = "ab", *others: Member, step: int = 5) -> Bench:
    """All trained together, and now `b` has only a parked rank."""
    bench = Bench(agents, ranks=2 + len(others))
    bench.train(A0, B1, *others, step=step)
    parked(bench, "b", 1)
    bench.deliver()
    for one in (A0, *others):
        bench.halted(one, step)
        bench.deliver()
    bench.formed(bench.generation, step)
    assert bench.members() == (A0, *others)
    assert bench.generation.parked == (B1,)
    bench.asked.clear()
    return bench


# ------------------------------------------------------------------------------- standing aside


def test_others_go_on_without_a_parked_rank_after_a_graceful_halt() -> None:
    bench = Bench("a", ranks=2)
    bench.train(A0, A1)

    assert halts(parked(bench, "a", 1)) == [False]
    (generation,) = forms(bench.halted(A0, step=5))

    assert (generation.members, generation.parked) == ((A0,), (A1,))
    assert (generation.step, generation.source) == (5, 0)


def test_several_park_at_one_boundary() -> None:
    bench = Bench("a", ranks=3)
    bench.train(A0, A1, A2)
    parked(bench, "a", 1)
    parked(bench, "a", 2)
    bench.halted(A0, step=5)

    assert bench.members() == (A0,)


def test_a_parked_rank_is_no_newcomer() -> None:
    bench = without_b()
    bench.wait(10 * SETTINGS.settle_s)

    assert bench.members() == (A0,)
    assert bench.halts("a") == []


def test_the_death_of_a_parked_rank_or_of_its_agent_halts_nobody() -> None:
    bench = without_b()
    bench.tell("b", words.RankDown(1, 0))
    bench.wait(1.0)
    del bench.machines["b"]
    bench.tell("a", words.PeerLost("b"))
    bench.wait(5.0)

    assert bench.halts("a") == []


def test_a_word_from_an_older_group_parks_nobody() -> None:
    bench = Bench("a", ranks=2)
    old = bench.train(A0, A1).ballot
    bench.tell("a", words.RankBroken(0, 0, old))
    bench.halted(A0, step=1)
    bench.halted(A1, step=1)

    assert bench.tell("a", words.RankParked(1, 0, old)) == []


def test_the_parked_are_members_only_where_nobody_else_stands() -> None:
    """Whoever answers, however many of them, and in whatever state."""
    kinds = (Standing(A0, -1), Standing(A0, 3), Standing(A0, -1, parked=True), None)
    for drawn in product(kinds, repeat=3):
        standings = [
            Standing(member("a", i), s.step, s.parked) for i, s in enumerate(drawn) if s is not None
        ]
        if not standings:
            continue
        found = decide(Ballot(9, "a"), [Ready("a", Ballot(9, "a"), tuple(standings), None)])
        working = tuple(s.member for s in standings if not s.parked)
        everybody = tuple(s.member for s in standings)
        assert found.members == (working or everybody)
        assert {*found.members, *found.parked} == {*everybody}


# -------------------------------------------------------------------------------------- back


def test_who_is_back_joins_as_any_newcomer_does() -> None:
    bench = without_b()

    bench.tell("b", words.RankUp(B1))
    bench.wait(2 * SETTINGS.settle_s)
    assert [h.urgent for h in bench.halts("a")] == [False]
    bench.halted(A0, step=9)
    bench.deliver()

    assert bench.members() == (A0, B1)
    assert (bench.generation.step, bench.generation.source, bench.generation.parked) == (9, 0, ())


def test_a_rank_that_never_was_parked_is_not_up_twice() -> None:
    bench = Bench("a", ranks=1)
    bench.train(A0)

    assert bench.tell("a", words.RankUp(A0)) == []


def test_who_is_back_before_the_others_halted_leaves_nobody_standing() -> None:
    bench = Bench("ab", ranks=2)
    bench.train(A0, B1)
    parked(bench, "b", 1)
    bench.lose_post()
    bench.tell("b", words.RankUp(B1))
    bench.wait(2 * SETTINGS.heartbeat_s)
    bench.halted(A0, step=5)
    bench.deliver()

    assert bench.members() == (A0, B1)
    assert (bench.generation.step, bench.generation.source) == (5, 0)


def test_when_somebody_dies_the_parked_are_back_once_the_others_have_met() -> None:
    bench = without_b("abc", C2)
    del bench.machines["c"]
    for agent in "ab":
        bench.tell(agent, words.PeerLost("c"))
    bench.halted(A0, step=7)
    bench.deliver()
    assert bench.members() == (A0,)
    bench.formed(bench.generation, 7)
    bench.wait(SETTINGS.dead_s)
    assert [h.urgent for h in bench.halts("a")] == [True]

    bench.wait(4 * SETTINGS.settle_s)
    assert [h.urgent for h in bench.halts("a")] == [True, False]
    bench.halted(A0, step=9)
    bench.deliver()

    assert bench.members() == (A0, B1)


def test_when_somebody_parks_the_parked_stay_where_they_are() -> None:
    bench = without_b("abc", C2)
    parked(bench, "c", 2)
    bench.deliver()
    bench.halted(A0, step=7)
    bench.deliver()
    bench.formed(bench.generation, 7)
    bench.wait(2 * SETTINGS.dead_s)

    assert bench.members() == (A0,)
    assert bench.generation.parked == (B1, C2)


# ----------------------------------------------------------------------- where nobody else is


def test_where_all_others_are_gone_the_parked_go_on_from_a_checkpoint() -> None:
    bench = without_b()
    del bench.machines["a"]

    (generation,) = forms(bench.tell("b", words.PeerLost("a")))

    assert (generation.members, generation.step, generation.parked) == ((B1,), -1, ())


def test_where_only_ranks_are_gone_the_parked_of_another_agent_go_on() -> None:
    bench = without_b()
    bench.tell("a", words.RankDown(0, 0))
    bench.deliver()

    assert bench.members() == (B1,)


def test_a_rank_that_had_to_go_on_is_parked_no_longer() -> None:
    bench = Bench("a", ranks=1)
    bench.train(A0)

    (generation,) = forms(parked(bench, "a", 0))
    bench.formed(generation, 0)
    bench.wait(1.0)

    assert bench.generation == generation
    assert halts(parked(bench, "a", 0)) == []  # it forms again at once, if it must


def test_the_parked_go_on_where_the_only_one_who_trained_fell_silent() -> None:
    """As of two agents both go on, that lost sight of each other."""
    bench = without_b()
    bench.cut = {"a"}
    bench.wait(SETTINGS.dead_s + 1.0)

    (generation,) = bench.forms("b")
    assert generation.members == (B1,)


@pytest.mark.parametrize(
    ("present", "silent", "go"),
    [
        ("b", "a", True),
        ("bc", "a", True),
        ("b", "ac", False),  # a and c may be together
        ("b", "", False),  # a lives and does not answer
    ],
)
def test_one_who_trained_alone_is_left_to_itself_by_all_others_together(
    present: str, silent: str, go: bool
) -> None:
    assert may_go_on(LONE, present, "", silent) is go


def test_of_several_who_trained_and_fell_silent_none_is_given_up() -> None:
    both = Generation(Ballot(1, "a"), (A0, B1), 0, 0)
    assert not may_go_on(both, "c", "", "ab")
