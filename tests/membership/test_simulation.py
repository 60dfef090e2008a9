"""Ten thousand histories of bad luck; every rule is checked after every event."""

from __future__ import annotations

import pytest

from tests.membership.simulator import History
from tests.membership.world import BrokenRuleError, World

PLAIN, PARKING, CONTINUED = range(4000), range(4000, 8000), range(8000, 10_000)
BLOCK = 200

# Each was a bug once: what it was, and a history that shows it.
PAST = {
    "a newcomer began a run of its own": 23,
    "both halves of the living counted the dead as theirs": 1762,
    "an agent without ranks agreed to two generations": 1904,
    "a generation that never met outvoted the one before": 4550,
    "a start that failed was tried again in two places": 271,
    "evidence of a former life outlived it": 11456,
    "a start did not wait for one that had trained and fell silent": 10905,
    "a ballot of a former life was used again": 32021,
    "a generation of a former life was taken for the own": 345873,
    "a leader did not wait for its own ranks": 1834,
    "who agreed to be left out never heard of it, and went on with others": 45938,
}

# The same, with ranks that are parked and come back.
PAST_PARKING = {
    "who was back before the others had halted left them standing for ever": 529,
    "a parked rank was taken for a newcomer": 13,
    "a rank that had to go on was still taken for parked": 30,
    "a state that was given up was still counted on": 0,
    "a word that a rank is back was taken for an old one": 16,
    "the only one who trained fell silent, and the parked waited": 103135,
    "the parked outvoted the others by a generation that never met": 306954,
    "one who had trained and one who was parked lost sight of the only one who trains": 105262,
    "who had slept was told late what a leader had decided in the life before": 33551,
    "parked ones agreed to one generation, never heard of it, and formed another": 58204,
    "one gave its state up alone, and others heard of a death of their generation": 47146,
}


@pytest.mark.parametrize("first", PLAIN[::BLOCK])
def test_no_rule_is_broken_and_all_train_together_in_the_end(first: int) -> None:
    for seed in range(first, first + BLOCK):
        History(seed).run()


@pytest.mark.parametrize("bug", PAST)
def test_no_bug_of_the_past_comes_back(bug: str) -> None:
    History(PAST[bug]).run()


@pytest.mark.parametrize("first", PARKING[::BLOCK])
def test_the_same_with_ranks_that_are_parked_and_come_back(first: int) -> None:
    for seed in range(first, first + BLOCK):
        History(seed, parking=True).run()


@pytest.mark.parametrize("first", CONTINUED[::BLOCK])
def test_the_same_where_no_minority_waits(first: int) -> None:
    for seed in range(first, first + BLOCK):
        History(seed, parking=seed % 2 == 1, minority_waits=False).run()


@pytest.mark.parametrize("bug", PAST_PARKING)
def test_no_bug_of_parking_comes_back(bug: str) -> None:
    History(PAST_PARKING[bug], parking=True).run()


def trained(seed: int, agents: int) -> History:
    """A calm world in which everybody trains."""
    history = History(seed)
    history.world.planned_agents, history.world.planned_ranks = agents, 2 * agents
    for number in range(agents):
        history.join(f"a{number:02}", 2)
    assert history.world.run(10.0, history.all_train)
    return history


def recovery_s(world: World) -> float:
    """Until every agent has accepted the same generation of just the ranks that live."""
    began = world.now
    live = {r.member for a in world.agents.values() for r in a.ranks.values()}

    def formed() -> bool:
        known = {a.machine.current for a in world.agents.values()}
        return all(g is not None and {*g.members} == live for g in known)

    assert world.run(began + 10.0, formed)
    return world.now - began


# A message takes up to 11 ms in a calm world, an agent and its rank 1 ms.
@pytest.mark.parametrize("seed", range(20))
def test_after_the_death_of_a_rank_a_few_messages_are_enough(seed: int) -> None:
    """The others' agents learn of it (plea), halt (prepare), stand (ready) and form (go)."""
    history = trained(seed, agents=3)
    agent = history.agent()
    history.world.kill_rank(next(iter(agent.ranks.values())), replace=False)

    assert recovery_s(history.world) < 4 * 0.011 + 6 * 0.001


@pytest.mark.parametrize("seed", range(20))
def test_after_the_death_of_an_agent_with_evidence_a_few_messages_are_enough(seed: int) -> None:
    history = trained(seed, agents=3)
    history.world.kill_agent(history.agent(), evidence=True)

    assert recovery_s(history.world) < 6 * 0.011 + 6 * 0.001


@pytest.mark.parametrize("seed", range(5))
def test_a_lone_agent_needs_no_message_at_all(seed: int) -> None:
    history = trained(seed, agents=1)
    (agent,) = history.world.agents.values()
    history.world.kill_rank(agent.ranks[0], replace=False)

    assert recovery_s(history.world) < 4 * 0.001


@pytest.mark.parametrize("pair", [("a00", "a01"), ("a00", "a02"), ("a01", "a02")])
@pytest.mark.parametrize("seed", range(10))
def test_two_that_do_not_hear_each_other_do_not_stop_the_others(
    seed: int, pair: tuple[str, str]
) -> None:
    """One of them is left out, and nobody is stopped for it again until they do."""
    history = trained(seed, agents=3)
    world = history.world
    world.cut([pair, pair[::-1]], for_s=1000.0)
    world.run(world.now + 10.0)
    groups, step = len(world.groups), world.highest_step
    world.run(world.now + 30.0)
    assert len(world.groups) == groups
    assert world.highest_step > step + 100
    members = next(reversed(world.groups)).agents
    assert len(members) == 2
    assert {*members} != {*pair}

    world.cuts.clear()
    assert world.run(world.now + 5.0, history.all_train)


def test_a_history_can_be_replayed() -> None:
    told: list[list[str]] = [[], []]
    for lines in told:
        History(7, lines.append).run()

    assert told[0] == told[1]
    assert len(told[0]) > 100


def test_a_broken_rule_names_its_seed() -> None:
    with pytest.raises(BrokenRuleError, match="seed 12345, at"):
        trained(12345, agents=2).world.demand(False, "a rule")
