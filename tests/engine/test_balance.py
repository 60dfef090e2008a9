"""Shares follow measured speeds, change at a step all ranks know, and do not flutter."""

from __future__ import annotations

from evener.config import schema
from evener.engine.balance import Balance, Change, speeds_from


def balance(policy: str = "adaptive", ahead: int = 0, ranks: int = 2, **more: object) -> Balance:
    config = schema.Balance.model_validate({"policy": policy, "window": 4, **more})
    made = Balance(config, 30, ahead, tuple(range(ranks)))
    made.begin(0)
    return made


def run(made: Balance, per_sample_s: list[float], steps: range) -> list[Change]:
    """Ranks that need so long a sample work through `steps`; the changes they decide."""
    changes = []
    for step in steps:
        shares = made.at(step)
        seconds = [n * s for n, s in zip(shares, per_sample_s, strict=True)]
        change = made.observe(step, seconds, [float(n) for n in shares])
        if change is not None:
            changes.append(change)
    return changes


def test_it_begins_equal_and_follows_the_speeds() -> None:
    made = balance()
    assert made.current == (15, 15)
    run(made, [1.0, 2.0], range(40))
    assert made.at(40) == (20, 10)


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
    decided_at = 5  # the first window of 4 steps, past the 2 that settle
    assert change.step >= decided_at + 1 + 5
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
    joined = Balance(one.config, 30, 0, (0, 1, 2), speeds_from(one.to_dict()))
    again = Balance(one.config, 30, 0, (0, 1, 2), dict(two.speeds))
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
