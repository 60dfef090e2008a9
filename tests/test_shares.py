"""Shares: sums, caps and optimality hold for any speeds; the fit finds a line and keeps it."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from evener import shares
from evener.shares import Bounds, Speed

positive = st.floats(1e-4, 1e3)
speeds = st.builds(Speed, st.one_of(st.just(0.0), st.floats(1e-4, 100)), positive)
clusters = st.lists(speeds, min_size=1, max_size=6)
weights = st.lists(st.one_of(st.just(0.0), positive), min_size=1, max_size=8)


def capped(*most: int | None) -> list[Bounds]:
    return [Bounds(most=each) for each in most]


def best_by_trying_all(cluster: list[Speed], total: int, limits: list[int]) -> float:
    ranges = [range(min(limit, total) + 1) for limit in limits]
    return min(
        shares.step_time(cluster, combination)
        for combination in itertools.product(*ranges)
        if sum(combination) == total
    )


# ------------------------------------------------------------------------------- split


@given(weights, st.integers(0, 10_000))
def test_split_hands_out_the_total_within_one_of_each_quota(w: list[float], total: int) -> None:
    cut = shares.split(w, total)
    assert sum(cut) == total
    whole = math.fsum(w)
    for share, weight in zip(cut, w, strict=True):
        quota = total * (weight / whole if whole else 1 / len(w))
        assert -1e-6 * total <= share - math.floor(quota) <= 1 + 1e-6 * total


@given(weights, st.integers(0, 1000), st.integers(-8, 8))
def test_split_does_not_depend_on_the_unit_of_the_weights(
    w: list[float], total: int, power: int
) -> None:
    assert shares.split([x * 2.0**power for x in w], total) == shares.split(w, total)


@given(weights, st.integers(0, 1000), st.randoms(use_true_random=False))
def test_split_follows_its_weights_when_they_are_reordered(
    w: list[float], total: int, rng: random.Random
) -> None:
    order = list(range(len(w)))
    rng.shuffle(order)
    plain = shares.split(w, total)
    moved = shares.split([w[i] for i in order], total)
    # equal weights may swap their one sample more; what each weight gets overall stays
    assert sorted(zip(w, plain, strict=True)) == sorted(
        zip([w[i] for i in order], moved, strict=True)
    )


def test_split_gives_the_odd_sample_to_the_lower_index() -> None:
    assert shares.split([1, 1, 1], 10) == (4, 3, 3)
    assert shares.split([0, 0], 3) == (2, 1)
    assert shares.split([0, 5, 0], 7) == (0, 7, 0)
    assert shares.split([0.1, 0.2, 0.7], 10) == (1, 2, 7)
    assert shares.split([], 0) == ()


@pytest.mark.parametrize(("w", "total"), [([], 1), ([1.0], -1), ([-1.0], 1), ([math.nan], 1)])
def test_split_refuses_what_has_no_answer(w: list[float], total: int) -> None:
    with pytest.raises(ValueError, match=r"split|weights"):
        shares.split(w, total)


# ------------------------------------------------------------------------------- solve


@settings(max_examples=60, deadline=None)
@given(
    st.lists(speeds, min_size=1, max_size=3),
    st.integers(0, 12),
    st.lists(st.one_of(st.none(), st.integers(0, 12)), min_size=3, max_size=3),
)
def test_solve_is_as_good_as_the_best_of_all_splits(
    cluster: list[Speed], total: int, caps: list[int | None]
) -> None:
    caps = caps[: len(cluster)]
    limits = [total if c is None else c for c in caps]
    assume(sum(min(c, total) for c in limits) >= total)
    cut = shares.solve(cluster, total, capped(*caps))
    assert sum(cut) == total
    assert all(0 <= n <= limit for n, limit in zip(cut, limits, strict=True))
    best = best_by_trying_all(cluster, total, limits)
    assert shares.step_time(cluster, cut) <= best * (1 + 1e-9)


@given(clusters, st.integers(0, 100_000))
def test_solve_hands_out_the_total_and_nobody_could_swap_to_gain(
    cluster: list[Speed], total: int
) -> None:
    cut = shares.solve(cluster, total)
    assert sum(cut) == total
    assert all(n >= 0 for n in cut)
    slowest = shares.step_time(cluster, cut)
    for speed, n in zip(cluster, cut, strict=True):  # one sample more would not be sooner anywhere
        assert speed.time_s(n + 1) >= slowest * (1 - 1e-9)


@given(clusters, st.integers(0, 500), st.randoms(use_true_random=False))
def test_solve_gives_reordered_ranks_the_same_step_time(
    cluster: list[Speed], total: int, rng: random.Random
) -> None:
    moved = rng.sample(cluster, len(cluster))
    assert shares.step_time(moved, shares.solve(moved, total)) == pytest.approx(
        shares.step_time(cluster, shares.solve(cluster, total)), rel=1e-9
    )


@given(clusters, st.integers(0, 500), st.data())
def test_a_rank_that_becomes_slower_gets_no_more(
    cluster: list[Speed], total: int, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(cluster) - 1))
    slow = list(cluster)
    slow[index] = Speed(cluster[index].fixed_s * 1.5, cluster[index].per_sample_s * 2)
    assert shares.solve(slow, total)[index] <= shares.solve(cluster, total)[index]


@given(clusters, st.integers(0, 500))
def test_more_samples_never_take_less_time(cluster: list[Speed], total: int) -> None:
    here = shares.step_time(cluster, shares.solve(cluster, total))
    assert shares.step_time(cluster, shares.solve(cluster, total + 1)) >= here * (1 - 1e-9)


def test_solve_follows_the_speeds() -> None:
    one_two_five = [Speed(0, 1.0), Speed(0, 0.5), Speed(0, 0.2)]
    assert shares.solve(one_two_five, 80) == (10, 20, 50)
    assert shares.solve([Speed(0, 1)] * 3, 10) == (4, 3, 3)
    assert shares.solve([Speed(100, 1), Speed(0, 1)], 50) == (0, 50)
    assert shares.solve(one_two_five, 80, capped(None, None, 30)) == (17, 33, 30)
    assert shares.solve([], 0) == ()


def test_solve_refuses_caps_that_leave_samples_over() -> None:
    with pytest.raises(ValueError, match="may take 0 to 5 samples, not 6"):
        shares.solve([Speed(0, 1), Speed(0, 1)], 6, capped(2, 3))
    with pytest.raises(ValueError, match="1 bounds for 2 ranks"):
        shares.solve([Speed(0, 1), Speed(0, 1)], 6, capped(None))
    with pytest.raises(ValueError, match="0 ranks may take 0 to 0 samples, not 1"):
        shares.solve([], 1)


@pytest.mark.parametrize("values", [(-1.0, 1.0), (0.0, 0.0), (math.nan, 1.0), (0.0, math.inf)])
def test_a_speed_is_finite_and_costs_something(values: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="must be finite"):
        Speed(*values)


# ------------------------------------------------------------------------------ revise


@given(clusters, st.integers(1, 500), st.floats(0, 0.5))
def test_revise_is_at_rest_after_one_revision(
    cluster: list[Speed], total: int, min_gain: float
) -> None:
    first = shares.revise(shares.split([1.0] * len(cluster), total), cluster, total, min_gain)
    assert sum(first) == total
    assert shares.revise(first, cluster, total, min_gain) == first
    best = shares.step_time(cluster, shares.solve(cluster, total))
    assert shares.step_time(cluster, first) * (1 - min_gain) <= best * (1 + 1e-9)


def test_revise_ignores_a_small_gain_and_takes_a_large_one() -> None:
    nearly_equal = [Speed(0, 1.0), Speed(0, 1.02)]
    assert shares.revise((50, 50), nearly_equal, 100, 0.03) == (50, 50)
    assert shares.revise((50, 50), [Speed(0, 1.0), Speed(0, 2.0)], 100, 0.03) == (67, 33)


@pytest.mark.parametrize("stale", [(100,), (50, 49), (120, -20)])
def test_revise_does_not_keep_shares_of_another_group(stale: tuple[int, ...]) -> None:
    assert shares.revise(stale, [Speed(0, 1.0)] * 2, 100, 0.5) == (50, 50)


# --------------------------------------------------------------------------------- fit


@given(speeds, st.integers(1, 200), st.floats(0.2, 5), st.integers(1, 8))
def test_fit_at_one_size_scales_the_previous_line(
    truth: Speed, n: int, factor: float, count: int
) -> None:
    fitted = shares.fit(truth, [(n, truth.time_s(n) * factor)] * count)
    rounding = 1e-9 * truth.time_s(n) * factor
    assert fitted.fixed_s == pytest.approx(truth.fixed_s * factor, rel=1e-6, abs=rounding)
    slope = truth.per_sample_s * factor
    assert fitted.per_sample_s == pytest.approx(slope, rel=1e-6, abs=rounding / n)


@given(speeds, speeds)
def test_fit_again_and_again_finds_the_line(previous: Speed, truth: Speed) -> None:
    sizes = (4, 8, 16, 32, 64, 128)
    samples = [(n, truth.time_s(n)) for n in sizes]
    fitted = previous
    for _ in range(60):
        fitted = shares.fit(fitted, samples)
    for n in sizes:
        assert fitted.time_s(n) == pytest.approx(truth.time_s(n), rel=0.1)


@given(speeds, st.lists(st.tuples(st.integers(-1, 500), st.floats(0, 1e4)), max_size=10))
def test_fit_of_anything_is_a_speed(previous: Speed, samples: list[tuple[int, float]]) -> None:
    usable = [(n, t) for n, t in samples if n > 0 and t > 1e-6]
    fitted = shares.fit(previous, usable)  # Speed itself refuses what is not finite or negative
    assert fitted.per_sample_s > 0
    if not usable:
        assert fitted == previous


def test_fit_leaves_out_what_is_no_measurement() -> None:
    line = Speed(0.1, 0.01)
    assert shares.fit(line, [(0, 1.0), (5, 0.0), (5, math.inf), (5, math.nan)]) == line
    clean = [(10, 0.2), (20, 0.3)]
    assert shares.fit(line, [(0, 9.0), *clean]) == shares.fit(line, clean)


def test_fit_believes_newer_samples_more() -> None:
    line = Speed(0.0, 1.0)
    rising = shares.fit(line, [(10, 10.0), (10, 20.0)]).per_sample_s
    falling = shares.fit(line, [(10, 20.0), (10, 10.0)]).per_sample_s
    assert falling < rising


def test_fit_does_not_believe_that_samples_are_free() -> None:
    """Noise that makes more samples look cheaper must not hand a rank the whole batch."""
    fitted = shares.fit(Speed(0.0, 0.05), [(20, 1.0), (22, 0.95)])
    assert fitted.per_sample_s > 0.02


def test_departs_tells_a_throttled_machine_from_noise() -> None:
    line = Speed(0.1, 0.01)
    assert not shares.departs(line, 40, 0.55)
    assert shares.departs(line, 40, 1.0)
    assert shares.departs(line, 40, 0.25)
    assert not shares.departs(line, 0, 1.0)


@pytest.mark.parametrize("seed", range(5))
def test_the_loop_of_fit_and_revise_comes_near_the_best_step_and_follows_a_slowdown(
    seed: int,
) -> None:
    """The controller as `engine.balance` runs it, on machines of 1:2:4:8 with 8 % of noise."""
    rng = random.Random(seed)
    truth = [Speed(0.02, 0.08 / k) for k in (1, 2, 4, 8)]
    estimates = [Speed(0.0, 0.01)] * 4  # all guessed alike
    history: list[list[tuple[int, float]]] = [[] for _ in truth]
    cut = shares.split([1, 1, 1, 1], 128)
    changes, settled = 0, []
    for window in range(80):
        if window == 40:
            truth[3] = Speed(0.04, 0.02)  # the strongest is throttled to half
        for i, n in enumerate(cut):
            measured = truth[i].time_s(n) * rng.lognormvariate(0, 0.08)
            if n and shares.departs(estimates[i], n, measured):
                history[i].clear()
            history[i] = [*history[i], (n, measured)][-8:]
            estimates[i] = shares.fit(estimates[i], history[i])
        revised = shares.revise(cut, estimates, 128, 0.03)
        changes += revised != cut
        cut = revised
        if window % 40 >= 10:
            best = shares.step_time(truth, shares.solve(truth, 128))
            settled.append(best / shares.step_time(truth, cut))
    assert sum(settled) / len(settled) > 0.9
    assert changes < 60


# ------------------------------------------------------------------------ bounds and teams


@given(clusters, st.integers(0, 500), st.integers(0, 20))
def test_nobody_gets_less_than_the_least(cluster: list[Speed], total: int, least: int) -> None:
    assume(least * len(cluster) <= total)
    cut = shares.solve(cluster, total, [Bounds(least=least)] * len(cluster))
    assert sum(cut) == total
    assert min(cut) >= least


@given(st.lists(speeds, min_size=2, max_size=5), st.integers(1, 2000))
def test_whole_quanta_cost_next_to_nothing(cluster: list[Speed], total: int) -> None:
    plain = shares.solve(cluster, total)
    rounded = shares.solve(cluster, total, [Bounds(quantum=8)] * len(cluster))
    assert sum(rounded) == total
    assert shares.step_time(cluster, rounded) <= 1.021 * shares.step_time(cluster, plain)


def test_an_accelerator_keeps_its_shapes_and_processors_take_the_rest() -> None:
    gpu, cpu = Speed(0.01, 0.001), Speed(0.01, 0.002)
    cut = shares.solve([gpu, cpu, cpu], 1021, [Bounds(quantum=8), Bounds(), Bounds()])
    assert cut[0] % 8 == 0
    assert sum(cut) == 1021


def test_who_adds_next_to_nothing_is_not_of_the_team() -> None:
    four = [Speed(0.01, 1 / v) for v in (80, 40, 20, 20)]
    assert shares.team([*four, Speed(0.01, 1 / 2)], 200, 0.02) == (True,) * 4 + (False,)
    assert shares.team([*four, Speed(0.01, 1 / 8)], 200, 0.02) == (True,) * 5
    assert shares.team([Speed(0.0, 1.0)] * 100, 1000, 0.02) == (True,) * 100  # 1 % each
    assert shares.team([Speed(0.0, 1.0)], 10, 0.02) == (True,)
    assert shares.team([], 0, 0.02) == ()


def test_together_is_weighed_against_what_the_exchange_costs() -> None:
    two = [Speed(0.0, 0.01), Speed(0.0, 0.01)]
    assert shares.team(two, 100, 0.02, exchange_s=0.4) == (True, True)  # 0.9 s against 1 s
    assert shares.team(two, 100, 0.02, exchange_s=0.6) == (True, False)
    # two alone would not pay, four do
    assert shares.team(two * 2, 100, 0.02, exchange_s=0.6) == (True,) * 4


def test_a_line_through_two_rehearsals() -> None:
    line = shares.from_rehearsals((4, 1.4), (40, 5.0))
    assert line.per_sample_s == pytest.approx(0.1)
    assert line.fixed_s == pytest.approx(1.0)
    for odd in ((4, 9.0), (4, 0.001)):  # neither less than nothing, nor steeper than its mean
        line = shares.from_rehearsals(odd, (40, 5.0))
        assert 0.3 * 5 / 40 <= line.per_sample_s <= 5 / 40
        assert line.time_s(40) == pytest.approx(5.0, rel=0.05)
    assert shares.from_rehearsals((4, 1.0), (4, 1.0)).time_s(4) == pytest.approx(1.0, rel=0.03)
