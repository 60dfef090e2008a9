"""Who may go on, and with which state."""

from __future__ import annotations

import pytest

from evener.membership.generation import Ballot, Generation
from evener.membership.round import cut_off, decide, may_go_on, newest
from evener.membership.words import Ready, Standing
from tests.membership.bench import member


def generation(agents: str, number: int = 1) -> Generation:
    members = tuple(member(a, rank) for rank, a in enumerate(agents))
    return Generation(Ballot(number, agents[0]), members, 0, 0)


def ready(agent: str, *standings: Standing, last: Generation | None = None) -> Ready:
    return Ready(agent, Ballot(9, "a"), standings, last)


@pytest.mark.parametrize(
    ("last", "present", "gone", "go"),
    [
        ("abc", "ab", "", True),
        ("abc", "c", "", False),
        ("abcd", "ab", "", True),  # half, with the lowest id
        ("abcd", "cd", "", False),
        ("abcd", "bc", "a", True),  # the dead have no voice
        ("abcd", "b", "a", False),
        ("abc", "b", "a", True),  # of the last two both go on
        ("abc", "c", "a", True),
        ("ab", "b", "", True),
        ("ab", "z", "", False),  # a newcomer is not one of the two
        ("ab", "bz", "", True),
        ("abc", "z", "abc", True),  # nobody is left who could go on elsewhere
        ("abcde", "dez", "", False),
        ("a", "z", "", False),
    ],
)
def test_enough_of_the_last_generation_goes_on(
    last: str, present: str, gone: str, go: bool
) -> None:
    assert may_go_on(generation(last), present, gone) is go


@pytest.mark.parametrize("gone_here", ["", "a", "b", "ab"])
@pytest.mark.parametrize("gone_there", ["", "a", "b", "ab"])
def test_never_do_two_sides_of_more_than_two_go_on(gone_here: str, gone_there: str) -> None:
    """However the living are cut in two, and whatever each side knows of the dead."""
    last = generation("abcde")
    dead = {*gone_here, *gone_there}
    living = sorted({*last.agents} - dead)
    for mask in range(2 ** len(living)):
        here = {a for i, a in enumerate(living) if mask >> i & 1}
        there = {*living} - here
        both = may_go_on(last, here, gone_here) and may_go_on(last, there, gone_there)
        assert not both, (here, there)


def test_the_generation_is_ordered_by_rank_whoever_answers_first() -> None:
    standings = [Standing(member("b", 1), 4), Standing(member("a", 0), 3)]

    decided = decide(Ballot(9, "a"), [ready("b", standings[0]), ready("a", standings[1])])

    assert [m.rank for m in decided.members] == [0, 1]
    assert (decided.step, decided.source) == (4, 1)


def test_without_state_the_first_rank_is_the_source() -> None:
    decided = decide(Ballot(9, "a"), [ready("a", Standing(member("a", 3), -1))])

    assert (decided.step, decided.source) == (-1, 0)


def test_the_newest_generation_is_that_of_the_highest_ballot() -> None:
    old, young = generation("abc", number=3), generation("ab", number=12)
    readys = [ready("c", last=old), ready("b", last=young), ready("z")]

    assert newest(readys) == young
    assert newest([ready("z")]) is None


@pytest.mark.parametrize(
    ("agents", "steps", "apart", "out"),
    [
        ("abc", (5, 5, 5), [], {}),
        ("abc", (5, 5, 5), ["bc"], {"c": ("b",)}),
        ("abc", (5, -1, 5), ["bc"], {"b": ("c",)}),  # a newcomer goes first
        ("abc", (5, 4, 5), ["bc"], {"b": ("c",)}),  # who is behind, before whoever has more
        ("abcd", (5, 5, 5, 5), ["bc", "bd"], {"b": ("c", "d")}),  # rather one than two
        ("abcd", (5, 5, 5, 5), ["bc", "bd", "cd"], {"d": ("b", "c"), "c": ("b",)}),
        ("abc", (-1, 5, 5), ["ab"], {"b": ("a",)}),  # who leads hears all: the other is deaf
    ],
)
def test_of_two_that_do_not_hear_each_other_one_is_left_out(
    agents: str, steps: tuple[int, ...], apart: list[str], out: dict[str, tuple[str, ...]]
) -> None:
    readys = {
        a: ready(a, Standing(member(a, rank), step))
        for rank, (a, step) in enumerate(zip(agents, steps, strict=True))
    }
    found = cut_off(readys, lambda a, b: "".join(sorted(a + b)) in apart, "a")
    assert found == out


def test_who_does_not_train_needs_to_hear_only_the_leader() -> None:
    readys = {
        "a": ready("a", Standing(member("a", 0), 5)),
        "b": ready("b", Standing(member("b", 1), 5)),
        "c": ready("c", Standing(member("c", 2), -1, parked=True)),
        "d": ready("d"),
    }
    assert cut_off(readys, lambda a, b: {a, b} in ({"b", "c"}, {"b", "d"}), "a") == {}
