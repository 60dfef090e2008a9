"""What a plan will come to: shares, gains, who is left out, and what links cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evener import placement, shares
from evener.placement import AgentPlan, Forecast, Plan, RankPlan
from evener.placement.forecast import least_time_s
from evener.profiles import LinkProfile, Profiles
from evener.shares import Speed
from tests.profiles import found
from tests.profiles.found import job


def plan(*machines: str) -> Plan:
    agents = tuple(
        AgentPlan(f"a{i:02d}", name, (RankPlan(i, "cpu", 8, "cpu"),))
        for i, name in enumerate(machines)
    )
    return Plan("tiny", placement.LOCAL, agents)


def known(*speeds: tuple[float, float], **changes: Any) -> Profiles:
    ranks = tuple(
        replace(found.rank(i, f"m{i}"), fixed_s=a, per_sample_s=b)
        for i, (a, b) in enumerate(speeds)
    )
    return found.profiles(ranks=ranks, links=(), **changes)


def forecast(profiles: Profiles, **tables: Any) -> Forecast:
    machines = [f"m{i}" for i in range(len(profiles.ranks))]
    return placement.forecast(job(**tables), plan(*machines), profiles)


def links(count: int, bytes_per_s: float) -> tuple[LinkProfile, ...]:
    pairs = [(a, b) for a in range(count) for b in range(count) if a != b]
    return tuple(LinkProfile(a, b, bytes_per_s, 0.0) for a, b in pairs)


def test_equal_ranks_halve_a_step() -> None:
    made = forecast(known((0.0, 0.01), (0.0, 0.01)))
    assert [p.share for p in made.parts] == [32, 32]
    assert [p.adds for p in made.parts] == [1.0, 1.0]
    assert made.step_s == made.compute_s == pytest.approx(0.32)
    assert made.samples_per_s == made.alone_samples_per_s == pytest.approx(200)
    assert made.ceiling_samples_per_s == pytest.approx(200)
    assert made.exchange_s is None
    assert "links were not measured" in made.exchange_note


def test_shares_follow_the_speeds_and_each_says_what_it_costs() -> None:
    made = forecast(known((0.01, 0.01), (0.0, 0.03)))
    assert [p.share for p in made.parts] == [48, 16]
    assert made.parts[0].reason == "busy for 490 ms: 10.0 ms a step and 10.0 ms a sample"


def test_a_machine_that_does_not_pay_is_left_out_with_the_numbers() -> None:
    made = forecast(known((0.0, 0.01), (0.0, 1.0)))
    slow = made.parts[1]
    assert (slow.share, made.machines[1].share) == (0, 0)
    assert slow.adds is not None
    assert slow.adds < 0.02
    assert slow.reason.startswith("left out: it would ")
    assert "2 % is the least" in slow.reason
    assert "64.0 s, the fastest 640 ms" in slow.reason
    assert made.parts[0].adds is None  # there is nobody else


def test_a_job_that_cuts_the_batch_itself_leaves_nobody_out() -> None:
    slow = known((0.0, 0.01), (0.0, 1.0))
    assert [p.share for p in forecast(slow, balance={"policy": "equal"}).parts] == [32, 32]
    fixed = {"policy": "fixed", "weights": [3, 1]}
    assert [p.share for p in forecast(slow, balance=fixed).parts] == [48, 16]


def test_who_is_not_parked_takes_a_sample_and_everybody_waits() -> None:
    slow = known((0.0, 0.01), (0.0, 1.0))
    for balance in ({"park": False}, {"policy": "static"}):
        made = forecast(slow, balance=balance)
        assert [p.share for p in made.parts] == [63, 1]
        assert made.step_s == pytest.approx(1.0)


def test_parts_that_the_job_allows_are_kept() -> None:
    agents = [
        AgentPlan(f"a{i:02d}", f"m{i}", (RankPlan(i, "cpu", 8, "", part),))
        for i, part in enumerate([(0.0, 0.25), (0.0, 1.0)])
    ]
    bounded = Plan("tiny", placement.LOCAL, tuple(agents))
    made = placement.forecast(job(), bounded, known((0.0, 0.01), (0.0, 0.01)))
    assert [p.share for p in made.parts] == [16, 48]


def test_the_exchange_goes_around_in_a_ring_over_the_slowest_link() -> None:
    fast = replace(known((0.0, 0.01), (0.0, 0.01)), parameters=10**6)
    made = forecast(replace(fast, links=(LinkProfile(0, 1, 1e8, 0.0), LinkProfile(1, 0, 4e7, 0.0))))
    assert made.exchange_s == pytest.approx(4e6 / 4e7)
    assert made.exchange_note == "the slowest link is rank 1 to rank 0"
    assert made.step_s == pytest.approx(0.32 + 0.1)
    three = replace(known(*[(0.0, 0.01)] * 3), parameters=10**6, links=links(3, 1e8))
    assert forecast(three).exchange_s == pytest.approx(4 / 3 * 4e6 / 1e8)


def test_without_the_size_of_the_model_no_exchange_is_foretold() -> None:
    two = replace(known((0.0, 0.01), (0.0, 0.01)), parameters=None, links=links(2, 1e8))
    made = forecast(two)
    assert (made.exchange_s, made.step_s) == (None, made.compute_s)
    assert "size of the model is not known" in made.exchange_note


def test_a_machine_behind_a_slow_link_is_left_out_and_the_link_is_named() -> None:
    three = replace(known(*[(0.0, 0.01)] * 3), parameters=10**6)
    slow = [
        replace(k, bytes_per_s=1e6) if 2 in (k.from_rank, k.to_rank) else k for k in links(3, 1e9)
    ]
    made = forecast(replace(three, links=tuple(slow)))
    assert [p.share for p in made.parts] == [32, 32, 0]
    assert "gradients are exchanged in 5.33 s a step, not 4.00 ms" in made.parts[2].reason


def test_where_no_company_is_worth_its_exchange_one_trains_alone() -> None:
    two = replace(known((0.0, 0.01), (0.0, 0.011)), parameters=10**6, links=links(2, 1e6))
    made = forecast(two)
    assert [p.share for p in made.parts] == [64, 0]
    assert made.exchange_s == 0.0


def test_the_ranks_of_a_machine_are_judged_together() -> None:
    two = AgentPlan("a00", "m0", (RankPlan(0, "cpu", 8, ""), RankPlan(1, "cpu", 8, "")))
    one = AgentPlan("a01", "m2", (RankPlan(2, "cpu", 8, ""),))
    three = Plan("tiny", placement.LOCAL, (two, one))
    made = placement.forecast(job(), three, known(*[(0.0, 0.01)] * 3))
    assert [(m.machine, m.ranks, m.share) for m in made.machines] == [
        ("m0", (0, 1), 43), ("m2", (2,), 21),
    ]  # fmt: skip
    assert made.machines[0].adds == pytest.approx(0.64 / 0.22 - 1)


SPEED = st.builds(Speed, st.floats(0, 0.5), st.floats(1e-4, 1.0))


@given(st.lists(SPEED, min_size=1, max_size=6), st.integers(1, 256))
def test_nobody_is_faster_than_the_ceiling(speeds: list[Speed], total: int) -> None:
    best = shares.step_time(speeds, shares.solve(speeds, total))
    assert least_time_s(speeds, total) <= best * (1 + 1e-9)


@given(st.lists(SPEED, min_size=1, max_size=5))
def test_every_forecast_hands_out_the_whole_batch(speeds: list[Speed]) -> None:
    made = forecast(known(*[(s.fixed_s, s.per_sample_s) for s in speeds]))
    assert sum(p.share for p in made.parts) == 64
    assert made.samples_per_s <= made.ceiling_samples_per_s * (1 + 1e-9)
    fastest = 64 / min(s.time_s(64) for s in speeds)
    assert made.samples_per_s >= fastest * 0.98  # nobody is worth making all of them slower
