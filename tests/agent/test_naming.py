"""Machines are called as people know them, those too that have joined since."""

from __future__ import annotations

from tests.placement.test_placement import job, machine

from evener import placement
from evener.agent.naming import Names
from evener.membership.words import LeftOut, Rests
from evener.placement import Place, plan_containers, plan_swarm

ON_A_SWARM = plan_swarm(job(), [Place("1", "oak", 4), Place("2", "elm", 4)])


def test_machines_have_their_names_and_newcomers_say_theirs() -> None:
    names = Names(ON_A_SWARM, "a00")
    assert [names.of(a) for a in ("a00", "a01", "a02")] == ["oak", "elm", "agent a02"]
    for said in (None, "", "ash", "another name later"):
        names.learn("a02", said)
    assert names.of("a02") == "ash"
    assert names.full("a02") == "agent a02 (ash)"


def test_agents_of_one_machine_are_told_apart() -> None:
    plan = placement.plan(job(workers=2, agents=2), [machine()])
    assert Names(plan, "a00").of("a01") == Names(plan, "a00").full("a01") == "agent a01"


def test_of_two_that_do_not_hear_each_other_both_are_named_and_what_helps() -> None:
    told = Names(ON_A_SWARM, "a00").told(LeftOut("a01", ("a00",))).text
    assert told.startswith("elm is left out while it and oak do not hear each other")
    assert "4789/udp" in told
    plan = plan_containers(job(workers=2), machine())
    told = Names(plan, "a00").told(LeftOut("a01", ("a00",))).text
    assert "machine-1 is left out" in told
    assert "4789" not in told


def test_who_comes_and_goes_is_named() -> None:
    told = Names(ON_A_SWARM, "a00").told(Rests("a01", 3, 4.0)).text
    assert told.startswith("elm was gone 3 times soon after it had joined")
