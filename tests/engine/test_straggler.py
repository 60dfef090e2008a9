"""Who is slow, since when, and why: every cause, and that nothing is said twice or too early."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evener.engine import signs
from evener.engine.signs import Cause, Signs, explain, typical
from evener.engine.straggler import COLD, REPORTS, Spell, Straggler
from evener.engine.usual import ENOUGH, SETTLED, Usual
from evener.events import Alert, RankTimed
from evener.rank.vitals import Vitals
from evener.shares import Speed

STEPS = 5
WELL = Signs(
    data=0.05, running=0.99, queued=0.01, preempted=5, throttled=0.0, stolen=0.0, faults=0,
    swapped=0, stalled=0, heat=0, hot=0, capped=0, clock=0.95, battery=0,
)  # fmt: skip


def timed(own_s: float = 0.1, share: int = 16, data: float = 0.05, **more: float) -> RankTimed:
    """A report of `STEPS` steps that took the rank `own_s` each, `data` of it for samples."""
    rest = own_s * (1 - data)
    made = RankTimed(
        rank=2, step=9, steps=STEPS, share=share, samples_per_s=share / own_s,
        data_s=own_s * data, forward_s=rest * 0.3, backward_s=rest * 0.6, exchange_s=0.01,
        optimizer_s=rest * 0.1, step_s=own_s + 0.01, memory_bytes=1,
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


def learnt(line: Speed | None = None) -> Straggler:
    straggler = Straggler(2)
    straggler.begin((0, 1, 2), line)
    assert told(straggler, *[timed()] * (COLD + SETTLED)) == []
    return straggler


def told(
    straggler: Straggler, *reports: RankTimed, now: Signs = WELL, lead: bool = False
) -> list[Alert]:
    return [alert for r in reports for alert in straggler.observe(r, now, lead)]


# ------------------------------------------------------------------------------- causes


@pytest.mark.parametrize(
    ("change", "name", "words"),
    [
        ({"throttled": 0.46, "running": 0.5}, "throttled",
         "its processor quota was used up 46 % of the time (throttled)"),
        ({"throttled": 1.0, "running": 0.3}, "throttled", "used up 70 % of the time"),
        ({"faults": 240, "swapped": 900}, "swapping",
         "240 times a second its memory had to be read from disk (swapping)"),
        ({"faults": 240, "stalled": 0.5}, "swapping", "240 times a second"),
        ({"data": 0.62}, "input-bound",
         "it waits for samples 62 % of its time, before 5 % (input-bound)"),
        ({"queued": 0.48, "running": 0.5}, "another program",
         "another program had its processor 48 % of the time"),
        ({"stolen": 0.3}, "another program",
         "the host of this virtual machine took 30 % of its processors' time"),
        ({"queued": None, "preempted": 240}, "another program",
         "another program took its processor 240 times a second"),
        ({"heat": 12}, "thermal", "its processor is too hot and slowed itself down (thermal)"),
        ({"hot": 1, "clock": 0.4}, "thermal", "its GPU is too hot"),
        ({"battery": 1, "clock": 0.4}, "on battery", "it runs on battery"),
        ({"clock": 0.5}, "slow clock", "its clock is at 50 % of its fastest, before 95 %"),
        ({"clock": 0.5, "capped": 1}, "slow clock", "at its limit of power"),
        ({"running": 0.4}, "unknown", "its process stood still 60 % of the time, unasked"),
        ({}, "unknown", "nothing measured says why"),
    ],
)  # fmt: skip
def test_every_cause_has_its_sign_and_its_words(
    change: dict[str, float], name: str, words: str
) -> None:
    cause = explain(replace(WELL, **change), WELL)
    assert cause.name == name
    assert words in cause.words


@pytest.mark.parametrize(
    "change",
    [
        {"throttled": 0.5}, {"data": 0.6}, {"queued": 0.5}, {"stolen": 0.3}, {"battery": 1},
        {"faults": 99, "swapped": 999}, {"heat": 9}, {"hot": 1}, {"clock": 0.4},
        {"preempted": 200}, {"running": 0.3},
    ],
)  # fmt: skip
def test_what_has_always_been_so_is_no_cause(change: dict[str, float]) -> None:
    always = replace(WELL, **change)
    assert explain(always, always).words == "nothing measured says why"


def test_where_much_was_lost_before_a_little_more_is_much() -> None:
    before = replace(WELL, queued=0.5)
    assert explain(replace(WELL, queued=0.62), before).name == "another program"
    assert explain(replace(WELL, queued=0.55), before).name == "unknown"


def test_faults_without_swapping_may_be_a_data_set_that_is_read_for_the_first_time() -> None:
    assert explain(replace(WELL, faults=500, data=0.7), WELL).name == "input-bound"


def test_what_explains_the_others_is_named() -> None:
    everything = replace(WELL, throttled=0.5, data=0.6, queued=0.5, clock=0.3)
    assert explain(everything, WELL).name == "throttled"


def test_nothing_known_is_nothing_said() -> None:
    nothing = Signs(data=0.0)
    assert explain(nothing, nothing).words == "nothing measured says why"
    assert explain(WELL, nothing).name == "unknown"


def test_signs_are_parts_and_rates() -> None:
    vitals = Vitals(
        seconds=2.0, running_s=0.4, queued_s=0.25, preempted=100, throttled_s=2.0, major_faults=8,
        stalled_s=0.5,
    )  # fmt: skip
    found = signs.signs(timed(own_s=0.1, wait_s=0.2), vitals, threads=2)
    assert found.data == pytest.approx(0.05)
    assert found.running == pytest.approx(0.8)  # 0.4 of 5 steps of 0.1 s
    assert found.queued == pytest.approx(0.25)  # of the second in which it did not wait
    assert (found.preempted, found.throttled, found.faults, found.stalled) == (50, 0.5, 4, 0.25)
    assert found.clock is None


def test_nothing_is_known_without_a_look() -> None:
    found = signs.signs(timed(), Vitals(), threads=1)
    assert replace(found, data=0.0) == Signs(data=0.0)


def test_the_typical_sign_is_the_mean_of_those_known() -> None:
    assert typical([Signs(0.25, clock=0.5), Signs(0.75)]) == Signs(0.5, clock=0.5)


# ---------------------------------------------------------------------------- hysteresis


def test_a_rank_twice_as_slow_is_named_once_and_its_recovery_too() -> None:
    straggler, slow = learnt(), replace(WELL, throttled=0.46, running=0.5)
    assert told(straggler, *[timed(0.19)] * (REPORTS - 1), now=slow) == []
    [alert] = told(straggler, *[timed(0.19)] * 20, now=slow)
    assert alert == Alert(
        "warning",
        "rank 2 takes 1.9 times as long as before: "
        "its processor quota was used up 46 % of the time (throttled)",
        2,
    )
    assert told(straggler, *[timed()] * (REPORTS - 1)) == []
    assert told(straggler, *[timed()] * 20) == [Alert("note", "rank 2 is back to speed", 2)]


def test_one_slow_report_is_nothing() -> None:
    straggler = learnt()
    for _ in range(20):
        assert told(straggler, timed(0.5), timed(0.5), timed()) == []


def test_short_reports_need_more_than_three() -> None:
    straggler = learnt()
    assert told(straggler, *[replace(timed(0.19), steps=1)] * 7) == []
    assert len(told(straggler, *[replace(timed(0.19), steps=1)] * 7)) == 1


def test_a_new_cause_is_said_when_all_reports_agree() -> None:
    straggler = learnt()
    busy, hot = replace(WELL, queued=0.5), replace(WELL, heat=20)
    assert len(told(straggler, *[timed(0.2)] * 5, now=busy)) == 1
    assert told(straggler, *[timed(0.2)] * 5) == []  # not knowing is no news
    assert told(straggler, timed(0.2), timed(0.2), now=hot) == []
    assert told(straggler, timed(0.2), now=busy) == []
    [alert] = told(straggler, *[timed(0.2)] * 5, now=hot)
    assert "thermal" in alert.text


def test_a_little_slower_is_neither_slow_nor_learnt() -> None:
    straggler = learnt()
    for percent in range(100, 140):
        assert told(straggler, *[timed(percent / 1000)] * 3) == []
    assert len(told(straggler, *[timed(0.15)] * 3)) == 1  # half as long again as at the start


def test_who_learnt_in_a_bad_moment_learns_again() -> None:
    straggler = Straggler(2)
    told(straggler, *[timed(0.2)] * (COLD + SETTLED))
    assert told(straggler, *[timed(0.1)] * 30) == []
    assert len(told(straggler, *[timed(0.2)] * 5)) == 1


def test_before_enough_is_known_nothing_is_said() -> None:
    straggler = Straggler(2)
    reports = [timed(0.1 * n) for n in range(1, COLD + ENOUGH + 1)]
    assert told(straggler, *reports) == []


def test_a_rank_without_samples_is_not_judged() -> None:
    straggler = learnt()
    idle = replace(timed(), share=0, forward_s=0.0, backward_s=0.0)
    assert told(straggler, *[idle] * 10) == []


def test_a_group_of_others_is_a_new_beginning_and_the_same_is_not() -> None:
    straggler = learnt()
    straggler.begin((0, 1, 2))
    assert len(told(straggler, *[timed(0.2)] * (COLD + 5))) == 1
    straggler.begin((0, 2))
    assert told(straggler, *[timed(0.2)] * 30) == []


# -------------------------------------------------------------------------------- shares


def test_shares_that_move_are_not_slowness_whatever_is_fixed_cost() -> None:
    for fixed_s in (0.0, 0.05, 0.095):
        straggler = learnt()
        for share in (16, 8, 4, 2, 12, 32):
            own_s = fixed_s + (0.1 - fixed_s) / 16 * share
            assert told(straggler, *[timed(own_s, share)] * 6) == [], (fixed_s, share)


def test_slowness_is_seen_though_the_share_was_cut_for_it() -> None:
    for line in (None, Speed(0.02, 0.005)):
        straggler = learnt(line)
        reports = [timed(0.2), *[timed(2 * (0.02 + 0.005 * 7), 7)] * 5]
        assert len(told(straggler, *reports)) == 1


def test_with_a_line_known_beforehand_even_if_it_was_cut_at_once() -> None:
    straggler = learnt(Speed(0.02, 0.005))
    assert len(told(straggler, *[timed(2 * (0.02 + 0.005 * 7), 7)] * 5)) == 1


def test_a_reference_that_is_settled_does_not_follow() -> None:
    usual = Usual()
    for _ in range(SETTLED):
        usual.learn(timed(), WELL)
    before = usual.expected_s(16, in_doubt=False)
    for _ in range(100):
        usual.learn(timed(0.11), WELL)
    assert usual.expected_s(16, in_doubt=False) == before


# ---------------------------------------------------------------------------------- link


def test_of_a_slow_exchange_the_lead_speaks_and_names_nobody() -> None:
    slow = timed(exchange_s=0.2)
    assert told(learnt(), *[slow] * 10) == []
    straggler = learnt()
    [alert] = told(straggler, *[slow] * 10, lead=True)
    assert alert == Alert(
        "warning",
        "the exchange of gradients takes longer: "
        "200 ms of each step, before 10 ms; waiting is left out (link)",
    )
    [over] = told(straggler, *[timed()] * 10, lead=True)
    assert over.text == "the exchange of gradients is back to speed"


def test_an_exchange_held_up_by_a_slow_rank_is_not_the_links() -> None:
    waiting = timed(exchange_s=0.2, wait_s=0.3)
    assert told(learnt(), *[waiting] * 10, lead=True) == []
    [alert] = told(learnt(), *[timed(0.3, exchange_s=0.3)] * 10, lead=True)
    assert alert.rank == 2


def test_what_comes_and_goes_is_said_ever_more_seldom() -> None:
    spell, said = Spell(), []
    for minute in range(60):
        for second in range(60):
            score = 0.5 if second < 25 else 1.0
            if spell.observe(score, Cause("x", "y"), 1.0):
                said.append((minute, "slow"))
            elif spell.over():
                said.append((minute, "over"))
    assert said == [(n // 2, ("slow", "over")[n % 2]) for n in range(8)]
    assert spell.observe(0.5, Cause("x", "y"), 1.0) is None
    assert any(spell.observe(0.5, Cause("x", "y"), 1.0) for _ in range(100))
