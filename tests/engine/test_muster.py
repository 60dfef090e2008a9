"""Who is parked, when, and who is called back."""

from __future__ import annotations

from evener.engine.knowledge import Knowledge, knowledge_from
from evener.engine.muster import LOOKS, Muster, helps
from evener.shares import Speed

FOUR = [Speed(0.01, 1 / v) for v in (80, 40, 20, 20)]
SNAIL = Speed(0.01, 1 / 2)


def muster(*speeds: Speed, parked: dict[int, Speed] | None = None) -> Muster:
    absent = parked or {}
    known = Knowledge(dict(enumerate(speeds)) | absent, {*absent})
    return Muster(200, tuple(range(len(speeds))), known)


def test_the_hopeless_do_not_even_begin() -> None:
    (parting,) = muster(*FOUR, SNAIL).at_start()
    assert parting.rank == 4
    assert 0 <= parting.gain < 0.02
    assert "%" in parting.reason
    assert "100 s alone" in parting.reason
    assert muster(*FOUR).at_start() == []
    assert muster(FOUR[0], FOUR[0]).at_start() == []


def test_a_rehearsal_parks_nobody_who_is_merely_of_little_use() -> None:
    fixed_costs = Speed(1.0, 1e-6)  # two of them are no faster than one, nor is one slower
    assert muster(fixed_costs, fixed_costs).at_start() == []


def test_a_decision_takes_more_than_one_look() -> None:
    made = muster(*FOUR, SNAIL)
    verdicts = [made.judge([*FOUR, SNAIL], 3.0) for _ in range(LOOKS)]
    assert verdicts[:-1] == [[]] * (LOOKS - 1)
    assert [p.rank for p in verdicts[-1]] == [4]


def test_a_moment_of_weakness_is_forgotten() -> None:
    made = muster(*FOUR, SNAIL)
    made.judge([*FOUR, FOUR[3]], 10.0)
    assert made.judge([*FOUR, SNAIL], 10.0) == []
    assert made.judge([*FOUR, FOUR[3]], 10.0) == []
    assert made.judge([*FOUR, SNAIL], 10.0) == []


def test_an_exchange_that_costs_more_than_it_brings_leaves_the_fastest_alone() -> None:
    equal = [Speed(0.0, 0.01), Speed(0.0, 0.011)]
    made = muster(*equal)
    made.known.exchange_s = 2.0
    verdicts = [made.judge(equal, 10.0) for _ in range(LOOKS)]
    (parting,) = verdicts[-1]
    assert parting.rank == 1
    assert parting.gain < 0
    assert "the exchange of gradients takes 2 s" in parting.reason


def test_who_would_help_by_now_is_called_back() -> None:
    made = muster(*FOUR, parked={4: SNAIL})
    assert made.recalls(FOUR) == ()
    slow = [Speed(s.fixed_s, s.per_sample_s * 8) for s in FOUR]
    assert made.recalls(slow) == (4,)
    assert made.recalls(slow[:1]) == (4,)


def test_who_was_parked_for_the_exchange_stays_so_while_others_do_not_change() -> None:
    one = Speed(0.0, 0.01)
    made = muster(one, parked={1: one})
    made.known.exchange_s = 2.0
    assert made.recalls([one]) == ()
    assert helps(one, [one], 200)


def test_knowledge_travels_as_json() -> None:
    known = Knowledge({3: Speed(0.5, 0.25)}, {3}, 0.125)
    assert knowledge_from(known.to_dict()) == known
    assert knowledge_from({}) == Knowledge()
