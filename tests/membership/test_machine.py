"""What one agent does with its own ranks: the start, a rank that comes, dies or breaks."""

from __future__ import annotations

from evener.membership import words
from evener.membership.generation import Ballot
from tests.membership.bench import SETTINGS, Bench, after, forms, halts, member

A0, A1, A2 = (member("a", rank) for rank in range(3))
B1 = member("b", 1)


# --------------------------------------------------------------------------------- the start


def test_a_lone_rank_forms_at_once_without_a_message() -> None:
    bench = Bench("a", ranks=1)

    outputs = bench.tell("a", words.RankUp(A0))

    (generation,) = forms(outputs)
    assert generation.members == (A0,)
    assert (generation.step, generation.source) == (-1, 0)
    assert not any(isinstance(o, words.Send) for o in outputs)


def test_the_start_waits_for_all_planned_ranks_and_not_a_moment_longer() -> None:
    bench = Bench("a", ranks=2)
    bench.up(A1)
    bench.wait(5.0)
    assert bench.forms("a") == []

    (generation,) = forms(bench.tell("a", words.RankUp(A0)))

    assert generation.members == (A0, A1)


def test_the_start_goes_on_without_ranks_that_never_come() -> None:
    bench = Bench("a", ranks=2)
    bench.up(A1)
    bench.wait(SETTINGS.join_s - 1.0)
    assert bench.forms("a") == []

    bench.wait(1.2)

    assert bench.members() == (A1,)


def test_the_start_does_not_wait_for_an_agent_that_was_turned_away() -> None:
    bench = Bench("ab", ranks=2)
    bench.tell("a", words.RankUp(A0))
    assert bench.forms("a") == []

    (generation,) = forms(bench.tell("a", words.TurnedAway("b", 1)))

    assert generation.members == (A0,)


def test_who_was_turned_away_and_is_heard_is_waited_for_again() -> None:
    bench = Bench("ab", ranks=2)
    bench.tell("a", words.TurnedAway("b", 1))
    bench.wait(1.0)  # it comes back and is let in
    bench.tell("a", words.RankUp(A0))
    assert bench.forms("a") == []
    bench.up(B1)
    assert bench.members() == (A0, B1)


def test_ballots_go_on_from_those_of_the_past() -> None:
    bench = Bench("a", ranks=1)
    bench.tell("a", words.Past(7))

    (generation,) = forms(bench.tell("a", words.RankUp(A0)))

    assert generation.ballot == Ballot(8, "a")


def test_what_was_opened_before_the_past_was_known_is_opened_above_it() -> None:
    bench = Bench("ab", ranks=2)
    bench.wait(1.0)
    bench.up(B1)  # who leads has a ballot open, and waits for ranks of its own
    bench.tell("a", words.Past(7))
    bench.up(A0)

    assert bench.members() == (A0, B1)
    assert bench.generation.ballot.number > 7


def test_two_agents_start_as_one_generation() -> None:
    bench = Bench("ab", ranks=2)
    bench.wait(1.0)
    bench.up(A0, B1)

    assert bench.members() == (A0, B1)
    assert bench.forms("a") == bench.forms("b") == [bench.generation]


def test_a_newcomer_does_not_begin_a_run_of_its_own() -> None:
    """It has as many ranks as were planned, and has only not been heard yet."""
    bench = Bench("b", ranks=1)
    bench.train(B1, step=7)
    newcomer = bench.add("a")

    bench.tell("a", words.RankUp(A0))
    assert newcomer.current is None

    bench.wait(1.0)
    bench.halted(B1, step=9)
    bench.deliver()
    assert bench.members() == (A0, B1)
    assert (bench.generation.step, bench.generation.source) == (9, 1)


def test_a_start_waits_for_whoever_fell_silent() -> None:
    """They may have trained: who started again does not begin from nothing beside them."""
    bench = Bench("a", ranks=1)
    bench.hear("a", words.Heartbeat("b", Ballot(3, "b"), Ballot(3, "b"), 8, False))
    bench.wait(SETTINGS.dead_s + 0.2)
    assert bench.machines["a"].alive == ("a",)

    assert forms(bench.tell("a", words.RankUp(A0))) == []
    assert len(forms(bench.tell("a", words.PeerLost("b")))) == 1


# ------------------------------------------------------------------------ a rank comes or goes


def test_a_dead_rank_halts_the_others_in_the_same_call() -> None:
    bench = Bench("a", ranks=2)
    bench.train(A0, A1)

    assert halts(bench.tell("a", words.RankDown(1, 0))) == [True]


def test_the_last_rank_to_stand_forms_the_others_in_the_same_call() -> None:
    bench = Bench("a", ranks=3)
    bench.train(A0, A1, A2)
    bench.tell("a", words.RankDown(2, 0))

    assert forms(bench.halted(A0, step=4)) == []
    (generation,) = forms(bench.halted(A1, step=5))

    assert generation.members == (A0, A1)
    assert (generation.step, generation.source) == (5, 1)


def test_the_source_is_the_lowest_rank_of_the_highest_step() -> None:
    bench = Bench("a", ranks=3)
    bench.train(A0, A1, A2)
    bench.tell("a", words.RankBroken(0, 0, bench.generation.ballot))
    for one, step in ((A2, 6), (A1, 6), (A0, 5)):
        bench.halted(one, step)

    assert (bench.generation.step, bench.generation.source) == (6, 1)


def test_joiners_share_one_graceful_halt() -> None:
    bench = Bench("a", ranks=1)
    bench.train(A0, step=3)

    outputs = bench.tell("a", words.RankUp(A1))
    bench.now += SETTINGS.settle_s / 2
    outputs += bench.tell("a", words.Tick(), words.RankUp(A2))
    assert halts(outputs) == []

    bench.now += SETTINGS.settle_s / 2 + 1e-6
    assert halts(bench.tell("a", words.Tick())) == [False]
    (generation,) = forms(bench.halted(A0, step=4))
    assert generation.members == (A0, A1, A2)
    assert (generation.step, generation.source) == (4, 0)


def test_a_standby_that_takes_over_replaces_the_dead_even_before_its_death_is_told() -> None:
    bench = Bench("a", ranks=2)
    bench.train(A0, A1)
    again = member("a", 1, life=1)

    assert halts(bench.tell("a", words.RankUp(again))) == [True]
    bench.tell("a", words.RankDown(1, 0))  # of the life before: it changes nothing
    (generation,) = forms(bench.halted(A0, step=2))

    assert generation.members == (A0, again)
    assert generation.source == 0


def test_where_all_ranks_died_the_first_one_back_goes_on_at_once() -> None:
    bench = Bench("a", ranks=1)
    bench.train(A0, step=30)
    bench.tell("a", words.RankDown(0, 0))
    bench.wait(1.0)
    assert bench.forms("a") == []

    (generation,) = forms(bench.tell("a", words.RankUp(member("a", 0, life=1))))

    assert generation.step == -1  # nobody has state: it is restored from a checkpoint


def test_a_rank_that_comes_while_others_halt_comes_along() -> None:
    bench = Bench("a", ranks=2)
    bench.train(A0, A1)
    bench.tell("a", words.RankDown(1, 0))
    bench.tell("a", words.RankUp(member("a", 1, life=1)))

    (generation,) = forms(bench.halted(A0, step=2))

    assert len(generation.members) == 2


def test_a_rank_that_dies_while_halting_is_not_waited_for() -> None:
    bench = Bench("a", ranks=3)
    bench.train(A0, A1, A2)
    bench.tell("a", words.RankDown(2, 0))
    bench.halted(A0, step=4)

    (generation,) = forms(bench.tell("a", words.RankDown(1, 0)))

    assert generation.members == (A0,)


def test_a_rank_that_dies_while_forming_starts_the_next_ballot() -> None:
    bench = Bench("a", ranks=2)
    bench.up(A0, A1)
    first = bench.generation

    outputs = bench.tell("a", words.RankDown(1, 0))

    assert halts(outputs) == [True]
    assert bench.machines["a"].promised > first.ballot


# ------------------------------------------------------------------------- the group fails


def test_a_broken_group_forms_again_with_everybody() -> None:
    bench = Bench("a", ranks=2)
    old = bench.train(A0, A1)

    assert halts(bench.tell("a", words.RankBroken(0, 0, old.ballot))) == [True]
    bench.halted(A0, step=1)
    bench.halted(A1, step=1)

    assert bench.members() == old.members
    assert bench.generation.ballot > old.ballot


def test_a_group_breaks_once() -> None:
    """What breaks while it is being halted, or broke before this generation, is no news."""
    bench = Bench("a", ranks=2)
    old = bench.train(A0, A1)
    bench.tell("a", words.RankBroken(0, 0, old.ballot))
    assert bench.tell("a", words.RankBroken(1, 0, old.ballot)) == []

    bench.halted(A0, step=1)
    bench.halted(A1, step=1)
    assert bench.tell("a", words.RankBroken(1, 0, old.ballot)) == []


def test_a_group_that_does_not_form_in_time_is_tried_again() -> None:
    bench = Bench("a", ranks=2)
    bench.up(A0, A1)
    first = bench.generation.ballot
    bench.tell("a", words.RankFormed(0, 0, first, 0))

    bench.wait(SETTINGS.form_s - 1.0)
    assert bench.halts("a") == []
    bench.wait(1.2)

    assert bench.halts("a") == [words.HaltRanks(after(first), True)]


def test_a_group_that_has_not_met_is_broken_off_for_a_joiner() -> None:
    """It would never come to the boundary a graceful halt waits for."""
    bench = Bench("a", ranks=1)
    bench.up(A0)
    bench.up(A1)
    bench.wait(0.2)

    assert [h.urgent for h in bench.halts("a")] == [True]


def test_a_graceful_halt_that_takes_too_long_is_broken_off_once() -> None:
    bench = Bench("a", ranks=1)
    bench.train(A0)
    bench.up(A1)
    bench.wait(SETTINGS.halt_s - 1.0)
    assert [h.urgent for h in bench.halts("a")] == [False]

    bench.wait(5.0)

    assert [h.urgent for h in bench.halts("a")] == [False, True]


def test_a_death_makes_a_graceful_halt_urgent_everywhere() -> None:
    bench = Bench("ab", ranks=3)
    bench.train(A0, B1, member("b", 2))
    bench.up(A1)
    bench.wait(0.2)
    assert [h.urgent for h in bench.halts("a") + bench.halts("b")] == [False, False]

    bench.tell("b", words.RankDown(2, 0))
    bench.deliver()

    assert [h.urgent for h in bench.halts("a")] == [False, True]
    assert [h.urgent for h in bench.halts("b")] == [False, True]


def test_a_late_answer_to_an_old_halt_does_not_stand_for_a_new_one() -> None:
    bench = Bench("a", ranks=1)
    bench.train(A0)
    bench.up(A1)
    bench.wait(0.1)
    late = words.RankHalted(0, 0, bench.machines["a"].promised, 3)
    bench.tell("a", late)  # the generation forms
    bench.formed(bench.generation, 3)
    bench.tell("a", words.RankDown(1, 0))

    assert forms(bench.tell("a", late)) == []
    assert len(forms(bench.halted(A0, step=8))) == 1
