"""Shares follow measured speeds, change at a step all ranks know, and do not flutter."""

from __future__ import annotations

import random

import pytest

from evener.config import schema
from evener.engine.balance import Balance, Change, Limit, Measured
from evener.engine.knowledge import Knowledge, knowledge_from
from evener.shares import Speed


def balance(policy: str = "adaptive", ahead: int = 0, ranks: int = 2, **more: object) -> Balance:
    config = schema.Balance.model_validate({"policy": policy, "window": 4, **more})
    made = Balance(config, 30, ahead, tuple(range(ranks)), Knowledge())
    made.begin(0)
    return made


def run(made: Balance, per_sample_s: list[float], steps: range) -> list[Change]:
    """Ranks that need so long a sample work through `steps`; the changes they decide."""
    changes = []
    for step in steps:
        shares = made.at(step)
        seconds = [n * s for n, s in zip(shares, per_sample_s, strict=True)]
        samples = tuple(float(n) for n in shares)
        change = made.observe(step, Measured(tuple(seconds), samples))
        if change is not None:
            changes.append(change)
    return changes


def test_it_begins_equal_and_follows_the_speeds() -> None:
    made = balance()
    assert made.current == (15, 15)
    run(made, [1.0, 2.0], range(40))
    assert made.at(40) == (20, 10)


@pytest.mark.parametrize("policy", ["adaptive", "static", "dynamic"])
@pytest.mark.parametrize("ahead", [0, 2])
def test_who_cannot_rehearse_is_cut_anew_after_the_first_steps(policy: str, ahead: int) -> None:
    config = schema.Balance.model_validate({"policy": policy})
    made = Balance(config, 70, ahead, (0, 1, 2), guesses=(1.0, 1.0, 1.0))
    made.begin(0)
    assert made.current == (24, 23, 23)
    warming = (80.0, 99.0, 140.0)  # the first step has other work in it
    made.observe(0, Measured(warming, tuple(map(float, made.current))))
    run(made, [1.0, 2.0, 4.0], range(1, 3 + 2 * ahead))
    assert made.at(3 + 2 * ahead) == (40, 20, 10)
    assert run(made, [1.0, 2.0, 4.0], range(3 + 2 * ahead, 60)) == []


def test_before_the_first_step_ranks_are_guessed_by_what_they_are_made_of() -> None:
    made = Balance(schema.Balance(), 70, 0, (0, 1, 2), guesses=(32.0, 1.0, 0.2))
    made.begin(0)
    assert made.current == (67, 2, 1)
    joined = Balance(
        schema.Balance(), 70, 0, (0, 1), Knowledge({0: Speed(0.0, 1.0)}), guesses=(1.0, 9.0)
    )
    joined.begin(5)
    assert joined.current == (35, 35)
    run(joined, [1.0, 0.4], range(5, 7))
    assert joined.at(7) == (20, 50)
    assert joined.known.speeds[0] == Speed(0.0, 1.0)


def test_equal_stays_equal() -> None:
    made = balance("equal")
    assert run(made, [1.0, 9.0], range(40)) == []
    assert made.at(40) == (15, 15)


def test_fixed_cuts_by_weights_and_ignores_speeds() -> None:
    made = balance("fixed", weights=[2, 1])
    assert run(made, [9.0, 1.0], range(40)) == []
    assert made.at(40) == (20, 10)


def test_a_change_waits_for_what_is_already_drawn() -> None:
    made = balance(ahead=5)
    change = run(made, [1.0, 2.0], range(8))[0]
    decided_at = 3  # the first window of 2 steps, past the 2 that settle
    assert change.step == decided_at + 1 + 5
    assert made.at(change.step - 1) == (15, 15)
    assert made.at(change.step) == change.shares


def test_small_differences_do_not_move_shares() -> None:
    assert run(balance(), [1.00, 1.02], range(80)) == []


def test_a_rank_that_slows_down_is_followed_within_a_few_windows() -> None:
    made = balance()
    run(made, [1.0, 1.0], range(24))
    run(made, [1.0, 4.0], range(24, 64))
    assert made.at(64) == (24, 6)


def test_all_ranks_and_a_joiner_decide_alike() -> None:
    one, two = balance(), balance()
    for made in (one, two):
        run(made, [1.0, 3.0], range(20))
    assert one.at(20) == two.at(20)
    joined = Balance(one.config, 30, 0, (0, 1, 2), knowledge_from(one.known.to_dict()))
    again = Balance(one.config, 30, 0, (0, 1, 2), two.known)
    for made in (joined, again):
        made.begin(20)
    assert joined.current == again.current
    assert sum(joined.current) == 30
    assert joined.current[0] > joined.current[1]


def test_nobody_falls_to_nothing_and_is_forgotten() -> None:
    made = balance()
    run(made, [1.0, 500.0], range(40))
    assert made.at(40) == (29, 1)
    run(made, [1.0, 1.0], range(40, 120))
    assert made.at(120) == (15, 15)


def test_a_slowdown_of_the_fastest_is_answered_within_a_few_steps() -> None:
    made = balance()
    run(made, [1.0, 3.0], range(30))
    change = run(made, [2.0, 3.0], range(30, 50))[0]
    assert change.step <= 36
    assert change.shares == (18, 12)


def test_noise_moves_shares_seldom() -> None:
    rng = random.Random(3)
    made, moves = balance(ranks=3), 0
    run(made, [1.0, 2.0, 4.0], range(40))
    for step in range(40, 640):
        noisy = [s * rng.lognormvariate(0, 0.05) for s in (1.0, 2.0, 4.0)]
        moves += len(run(made, noisy, range(step, step + 1)))
    assert moves <= 5


def test_what_all_ranks_have_in_common_moves_no_share() -> None:
    """Parts of one machine that others use too: at times all of them take half as long again."""
    rng = random.Random(2)
    made, moves, level = balance(ranks=3), 0, 1.0
    for step in range(600):
        if step % 25 == 0:
            level = rng.choice((1.0, 1.3, 1.6))
        noisy = [s * level * rng.lognormvariate(0, 0.05) for s in (1.0, 2.0, 4.0)]
        moves += len(run(made, noisy, range(step, step + 1)))
    assert moves <= 5


def test_a_rank_that_slows_down_while_all_do_is_followed() -> None:
    made = balance(ranks=3)
    run(made, [1.0, 1.0, 1.0], range(24))
    run(made, [1.5, 1.5, 6.0], range(24, 64))
    assert sorted(made.at(64)) == [3, 13, 14]


def test_static_keeps_to_what_was_known_at_the_start() -> None:
    config = schema.Balance(policy="static")
    known = Knowledge({0: Speed(0.0, 1.0), 1: Speed(0.0, 2.0)})
    made = Balance(config, 30, 0, (0, 1), known)
    made.begin(0)
    assert made.current == (20, 10)
    assert run(made, [5.0, 1.0], range(60)) == []
    assert known.speeds == {0: Speed(0.0, 1.0), 1: Speed(0.0, 2.0)}
    assert made.predicted_s(0, 20) == pytest.approx(100.0, rel=0.1)  # though it sees what is true


def test_dynamic_follows_the_last_speed_whatever_is_fixed() -> None:
    made = balance("dynamic")
    run(made, [1.0, 2.0], range(20))
    assert made.at(20) == (20, 10)


def test_bounds_hold_and_are_let_go_where_they_cannot() -> None:
    capped = balance()
    capped.limits = (Limit(most=0.5), Limit())
    run(capped, [1.0, 9.0], range(40))
    assert capped.at(40) == (15, 15)
    least = balance()
    least.limits = (Limit(least=0.2),) * 2
    run(least, [1.0, 9.0], range(40))
    assert least.at(40) == (24, 6)
    alone = Balance(capped.config, 30, 0, (0,), capped.known, (Limit(most=0.5),))
    alone.begin(40)
    assert alone.current == (30,)


def test_a_look_tells_what_the_ranks_do_and_could_do() -> None:
    made = balance()
    run(made, [1.0, 2.0], range(40))
    looks = []
    for step in range(40, 60):
        run(made, [1.0, 2.0], range(step, step + 1))
        looks += [made.look] if made.look else []
    assert looks
    assert looks[-1].alone == pytest.approx(1.5)
    assert looks[-1].possible == pytest.approx(1.5)
    assert looks[-1].shares == (20, 10)
