"""Agents that come, go, fall silent and come back; and the end of a run, which all must learn."""

from __future__ import annotations

from dataclasses import replace

from evener.membership import words
from evener.membership.generation import Ballot, Generation
from tests.membership.bench import SETTINGS, Bench, after, forms, halts, member, sent

A0, A1 = member("a", 0), member("a", 1)
B1, C2 = member("b", 1), member("c", 2)


# ---------------------------------------------------------------------- agents come and go


def test_a_dead_agent_is_not_waited_for() -> None:
    bench = Bench("ab", ranks=2)
    bench.train(A0, B1)

    outputs = bench.tell("b", words.PeerLost("a"))

    assert halts(outputs) == [True]
    (generation,) = forms(bench.halted(B1, step=3))
    assert generation.members == (B1,)


def test_who_says_goodbye_is_not_waited_for() -> None:
    bench = Bench("ab", ranks=2)
    bench.train(A0, B1)

    bench.hear("b", words.Goodbye("a", False))

    assert len(forms(bench.halted(B1, step=3))) == 1


def test_the_next_leads_when_the_leader_dies_with_a_ballot_open() -> None:
    bench = Bench("abc", ranks=3)
    bench.train(A0, B1, C2)
    bench.tell("a", words.RankDown(0, 0))
    bench.deliver()
    del bench.machines["a"]
    for agent in "bc":
        bench.tell(agent, words.PeerLost("a"))
    bench.deliver()
    bench.halted(B1, step=3)
    bench.halted(C2, step=4)
    bench.deliver()

    assert bench.generation.ballot.agent == "b"
    assert bench.members() == (B1, C2)
    assert (bench.generation.step, bench.generation.source) == (4, 1)


def test_silence_counts_after_its_time() -> None:
    bench = Bench("abc", ranks=3)
    bench.train(A0, B1, C2)
    bench.cut = {"c"}

    bench.wait(SETTINGS.dead_s - 0.5)
    assert bench.asked == []
    bench.wait(1.0)

    assert bench.machines["a"].alive == ("a", "b")
    assert [h.urgent for h in bench.halts("a")] == [True]


def test_a_minority_waits_and_comes_back() -> None:
    bench = Bench("abc", ranks=3)
    bench.train(A0, B1, C2)
    bench.cut = {"c"}
    bench.wait(SETTINGS.dead_s + 1.0)
    for one, step in ((A0, 5), (B1, 6), (C2, 5)):
        bench.halted(one, step)
    bench.deliver()
    assert bench.members() == (A0, B1)
    bench.wait(SETTINGS.join_s)
    assert bench.forms("c") == []

    bench.formed(bench.generation, 6)
    bench.cut = set()
    bench.wait(2.0)
    for one in (A0, B1):
        bench.halted(one, step=8)
    bench.deliver()

    assert bench.members() == (A0, B1, C2)
    assert (bench.generation.step, bench.generation.source) == (8, 0)


def test_two_who_lose_sight_of_each_other_both_go_on_and_the_higher_step_wins() -> None:
    bench = Bench("ab", ranks=2)
    bench.train(A0, B1)
    bench.cut = {"b"}
    bench.wait(SETTINGS.dead_s + 1.0)
    bench.halted(A0, step=3)
    bench.halted(B1, step=3)
    (alone_a,), (alone_b,) = bench.forms("a"), bench.forms("b")
    assert (alone_a.members, alone_b.members) == ((A0,), (B1,))

    bench.formed(alone_a, 3)
    bench.formed(alone_b, 3)
    bench.cut = set()
    bench.wait(3.0)
    bench.halted(A0, step=5)
    bench.halted(B1, step=9)
    bench.deliver()

    assert bench.members() == (A0, B1)
    assert (bench.generation.step, bench.generation.source) == (9, 1)


def test_whoever_slept_gives_the_others_time_to_be_heard() -> None:
    bench = Bench("ab", ranks=2)
    bench.train(A0, B1)
    bench.now += 3600.0

    outputs = bench.tell("a", words.Tick())

    assert bench.machines["a"].alive == ("a", "b")
    assert halts(outputs) == []


def test_an_excluded_agent_finds_its_way_back_after_a_sleep() -> None:
    bench = Bench("abc", ranks=3)
    bench.train(A0, B1, C2)
    asleep = bench.machines.pop("a")
    bench.wait(SETTINGS.dead_s + 1.0)
    bench.halted(B1, step=4)
    bench.halted(C2, step=4)
    bench.deliver()
    assert bench.members() == (B1, C2)
    bench.formed(bench.generation, 4)

    bench.machines["a"] = asleep
    bench.wait(3.0)
    assert bench.halts("a")[-1].urgent  # its rank waits for boundaries of a group that is gone
    for one, step in ((A0, 3), (B1, 6), (C2, 6)):
        bench.halted(one, step)
    bench.deliver()

    assert bench.members() == (A0, B1, C2)
    assert (bench.generation.step, bench.generation.source) == (6, 1)


def test_a_lower_id_takes_over_an_open_ballot() -> None:
    """And who hands it over does not plead with itself, even if the halt cannot wait."""
    bench = Bench("bc", ranks=2)
    bench.train(B1, C2)
    bench.up(member("b", 3))
    bench.now += SETTINGS.settle_s
    bench.tell("b", words.Tick())
    bench.lose_post()

    heard = bench.hear("b", words.Heartbeat("a", Ballot(0, ""), None, -1, False))
    bench.now += SETTINGS.halt_s
    heard += bench.hear("b", words.Heartbeat("a", Ballot(0, ""), None, -1, False))

    pleas = [o.to for o in heard if isinstance(o, words.Send) and isinstance(o.message, words.Plea)]
    assert pleas
    assert set(pleas) == {"a"}


def test_who_started_again_counts_as_present() -> None:
    """The evidence of its former life is out of date as soon as it is heard."""
    bench = Bench("abc", ranks=3)
    bench.train(A0, B1, C2)
    a = bench.machines["a"]
    bench.tell("a", words.PeerLost("c"))
    assert a.alive == ("a", "b")
    bench.hear("a", words.Heartbeat("c", Ballot(0, ""), None, -1, False))
    bench.cut = {"a"}
    bench.lose_post()
    bench.wait(SETTINGS.dead_s + 1.0)
    bench.halted(A0, step=3)

    assert bench.forms("a") == []  # b and c may both go on: alone it is the smaller part


def test_what_an_agent_said_before_it_was_lost_no_longer_counts() -> None:
    """Under the same id another process may answer, and its ranks are not those."""
    bench = Bench("abc", ranks=3)
    bench.train(A0, B1, C2)
    bench.tell("b", words.RankBroken(1, 0, bench.generation.ballot))
    bench.deliver()
    bench.halted(B1, step=3)
    bench.deliver()
    bench.tell("a", words.PeerLost("b"))
    bench.hear("a", words.Heartbeat("b", Ballot(0, ""), None, -1, False))
    bench.lose_post()

    bench.halted(A0, step=3)
    bench.halted(C2, step=3)
    bench.cut = {"b"}
    bench.deliver()

    assert bench.forms("a") == []  # the new b is alive and has not answered


def test_a_start_that_failed_is_not_tried_in_two_places() -> None:
    bench = Bench("abc", ranks=3)
    bench.wait(1.0)
    bench.up(A0, B1, C2)
    assert bench.members() == (A0, B1, C2)
    bench.cut = {"c"}
    for agent, rank in (("a", 0), ("b", 1), ("c", 2)):
        bench.tell(agent, words.RankBroken(rank, 0, bench.generation.ballot))
    bench.deliver()
    bench.asked.clear()
    bench.wait(SETTINGS.dead_s + 1.0)
    for one in (A0, B1, C2):
        bench.halted(one, step=-1)
    bench.deliver()
    bench.wait(1.0)

    assert bench.forms("c") == []
    assert bench.members() == (A0, B1)


def back_as_leader(bench: Bench) -> None:
    """The first agent has started anew, and is heard; its rank is not up yet."""
    bench.add("a")
    bench.asked.clear()
    bench.wait(3.0)


def test_who_comes_back_as_leader_stops_the_others_once_its_rank_is_up() -> None:
    bench = Bench("abc", ranks=3)
    bench.train(A0, B1, C2)
    for agent in "bc":
        bench.tell(agent, words.PeerLost("a"))
    bench.deliver()
    bench.halted(B1, step=3)
    bench.halted(C2, step=3)
    bench.deliver()
    bench.cut = {"a"}  # its former life
    bench.formed(bench.generation, 3)
    bench.cut = set()

    back_as_leader(bench)
    assert bench.asked == []

    bench.up(member("a", 0, life=1))
    bench.wait(1.0)
    assert [len(bench.halts(agent)) for agent in "bc"] == [1, 1]
    bench.halted(B1, step=7)
    bench.halted(C2, step=7)
    bench.deliver()
    assert [m.agent for m in bench.members()] == ["a", "b", "c"]


def test_who_comes_back_unnoticed_breaks_the_group_that_waits_for_its_former_life() -> None:
    bench = Bench("abc", ranks=3)
    bench.train(A0, B1, C2)

    back_as_leader(bench)

    assert bench.halts("b")


def test_a_member_that_was_never_heard_has_its_time_to_be_heard() -> None:
    """The leader heard it; its first word to us may still be on its way."""
    bench = Bench("a", ranks=1)
    newcomer = bench.add("z")
    bench.hear("z", words.Prepare("a", Ballot(5, "a"), False))

    bench.hear("z", words.Go("a", Generation(Ballot(5, "a"), (A0, B1), 3, 0)))

    assert newcomer.alive == ("a", "b", "z")


def test_a_leader_waits_for_its_own_ranks_too() -> None:
    bench = Bench("ab", ranks=2)
    bench.train(A0, B1)
    bench.tell("b", words.RankBroken(1, 0, bench.generation.ballot))
    bench.deliver()
    bench.halted(B1, step=3)
    bench.wait(SETTINGS.dead_s + 1.0)
    assert bench.forms("b") == []

    bench.halted(A0, step=3)
    bench.deliver()
    assert bench.members() == (A0, B1)


def test_an_agent_that_never_answers_is_not_waited_for_for_ever() -> None:
    bench = Bench("abc", ranks=3)
    bench.train(A0, B1, C2)
    bench.tell("b", words.RankBroken(1, 0, bench.generation.ballot))
    bench.deliver()
    bench.halted(A0, step=3)
    bench.halted(B1, step=3)
    bench.wait(3 * SETTINGS.halt_s - 1.0)
    assert bench.forms("a") == []

    bench.wait(2.0)

    assert bench.forms("a")[0].members == (A0, B1)


# ------------------------------------------------------------------------------- the end


def test_after_the_end_nothing_is_formed() -> None:
    bench = Bench("ab", ranks=2)
    current = bench.train(A0, B1)
    bench.tell("b", words.RunDone())

    bench.deliver()
    assert bench.machines["a"].done
    assert bench.tell("a", words.RankDown(0, 0)) == []
    assert halts(bench.hear("b", words.Prepare("a", after(current.ballot), True))) == []
    assert bench.machines["b"].promised == current.ballot


def test_a_goodbye_at_the_end_ends_it_for_all() -> None:
    bench = Bench("ab", ranks=2)
    bench.train(A0, B1)

    bench.hear("b", words.Goodbye("a", True))

    assert bench.machines["b"].done


def test_who_asks_after_the_end_is_told() -> None:
    bench = Bench("ab", ranks=2)
    bench.train(A0, B1)
    bench.tell("a", words.RunDone())
    bench.lose_post()

    for message in (words.Plea("b", "", True), words.Prepare("b", Ballot(9, "b"), True)):
        (answer,) = sent(bench.hear("a", message), words.Heartbeat)
        assert isinstance(answer, words.Heartbeat)
        assert answer.done


# ---------------------------------------------------------------------------- what is read


def test_the_step_is_what_the_ranks_last_said() -> None:
    bench = Bench("a", ranks=2)
    bench.train(A0, A1, step=5)
    machine = bench.machines["a"]
    bench.tell("a", words.RankProgress(1, 0, 8))
    assert machine.step == 8

    bench.tell("a", words.RankDown(1, 0))
    assert machine.step == 5


def test_heartbeats_come_at_their_interval() -> None:
    quick = replace(SETTINGS, heartbeat_s=0.2)
    bench = Bench("ab", settings=quick)
    beats = 0
    for _ in range(100):
        bench.now += 0.05
        beats += len(list(sent(bench.tell("a", words.Tick()), words.Heartbeat)))

    assert 20 <= beats <= 26
