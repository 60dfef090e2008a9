"""Links that lose, delay or flap, machines cut in halves, many who come or go at once.

What follows from one fault at a time; thousands of histories of all of them are in
`test_simulation`. A message is up to 11 ms on its way.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from evener.config.schema import Membership
from evener.membership.callers import REST_MOST_S
from tests.membership.simulator import History
from tests.membership.world import SETTINGS, STEP_S, Luck, World

SEEDS = pytest.mark.parametrize("seed", range(5))
MINUTE_S = 60.0


def trained(
    seed: int, agents: int, *, minority_waits: bool = True, dead_s: float = SETTINGS.dead_s
) -> History:
    """A calm world in which everybody trains."""
    history = History(seed, minority_waits=minority_waits)
    world = history.world
    world.settings = replace(world.settings, dead_s=dead_s)
    world.planned_agents = world.planned_ranks = agents
    for number in range(agents):
        history.join(f"a{number:02}", 1)
    assert world.run(10.0, history.all_train)
    return history


def sides(*groups: tuple[str, ...]) -> list[tuple[str, str]]:
    """All ways between two groups."""
    one, other = groups
    return [way for a in one for b in other for way in ((a, b), (b, a))]


def around(world: World, agent: str) -> list[tuple[str, str]]:
    return sides((agent,), tuple(a for a in world.agents if a != agent))


def formed(world: World, since: int) -> list[tuple[str, ...]]:
    """The agents of each generation after the first `since`."""
    return [generation.agents for generation in list(world.groups)[since:]]


@SEEDS
def test_of_four_cut_in_halves_the_one_with_the_lowest_id_goes_on(seed: int) -> None:
    history = trained(seed, agents=4)
    world, before = history.world, len(history.world.groups)
    world.cut(sides(("a00", "a03"), ("a01", "a02")), for_s=1000.0)
    world.run(world.now + 20.0)
    assert formed(world, before) == [("a00", "a03")]
    step = world.highest_step
    world.run(world.now + 2.0)
    assert world.highest_step > step
    world.cuts.clear()
    assert world.run(world.now + 5.0, history.all_train)


@SEEDS
def test_where_no_minority_waits_both_halves_go_on_and_meet(seed: int) -> None:
    history = trained(seed, agents=4, minority_waits=False)
    world, before = history.world, len(history.world.groups)
    world.cut(sides(("a00", "a01"), ("a02", "a03")), for_s=1000.0)
    world.run(world.now + 20.0)
    assert {*formed(world, before)} == {("a00", "a01"), ("a02", "a03")}
    world.cuts.clear()
    assert world.run(world.now + 5.0, history.all_train)


@SEEDS
@pytest.mark.parametrize("loss", [0.01, 0.05, 0.2])
def test_links_that_lose_some_are_late_and_make_nobody_dead(seed: int, loss: float) -> None:
    """What a connection loses it sends again, up to a second late, as is all that comes then."""
    history = trained(seed, agents=3, dead_s=Membership().dead_s)
    world, before, step = history.world, len(history.world.groups), history.world.highest_step
    world.luck = Luck(loss=0.0, doubling=0.0, lateness=loss, ordered=True)
    world.run(world.now + MINUTE_S)
    assert formed(world, before) == []
    assert world.highest_step - step > 0.9 * MINUTE_S / STEP_S


@pytest.mark.parametrize("victim", ["a00", "a02"])
@pytest.mark.parametrize(("up_s", "down_s"), [(2.0, 1.0), (2.0, 2.0), (5.0, 2.0), (4.0, 4.0)])
def test_a_link_that_comes_and_goes_leaves_the_others_most_of_their_time(
    victim: str, up_s: float, down_s: float
) -> None:
    history = trained(1, agents=3)
    world, step, began = history.world, history.world.highest_step, history.world.now
    while world.now < began + MINUTE_S:
        world.cut(around(world, victim), for_s=down_s)
        world.run(world.now + down_s + up_s)
    rests = victim != "a00" and down_s > SETTINGS.dead_s  # nobody makes a leader rest
    assert world.highest_step - step >= (0.75 if rests else 0.5) * (world.now - began) / STEP_S
    assert world.run(world.now + REST_MOST_S + 5.0, history.all_train)


@SEEDS
def test_five_who_come_within_a_second_stop_the_others_a_few_times_only(seed: int) -> None:
    history = trained(seed, agents=3)
    world, before, step = history.world, len(history.world.groups), history.world.highest_step
    for number in range(5):
        history.later(0.2 * number, history.join, f"a1{number}", 1)
    world.run(world.now + 1.0)
    assert world.run(world.now + 5.0, history.all_train)
    assert len(formed(world, before)) <= 4
    assert formed(world, before)[-1] == tuple(sorted(world.agents))
    assert world.highest_step > step


@SEEDS
@pytest.mark.parametrize("victims", [("a00", "a01"), ("a01", "a02")])
def test_of_three_the_last_goes_on_at_once_where_the_others_are_known_dead(
    seed: int, victims: tuple[str, ...]
) -> None:
    """The leader and who would lead after it, for one."""
    history = trained(seed, agents=3)
    world, died_at = history.world, history.world.now
    for victim in victims:
        world.kill_agent(world.agents[victim], evidence=True)
    assert world.run(died_at + SETTINGS.dead_s, history.all_train)
