"""What is drawn for a sample depends on nothing but the seed, the epoch and the sample."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from evener.data import draws

ids = st.lists(st.integers(0, 2**40), min_size=1, max_size=50)


def drawn(numbers: list[int], seed: int = 1, epoch: int = 2) -> draws.Draws:
    return draws.Draws(seed, epoch, np.array(numbers, np.int64))


def reference_splitmix64(state: int) -> int:
    """The published generator's next output, in Python's own integers."""
    mask = 2**64 - 1
    state = (state + 0x9E3779B97F4A7C15) & mask
    state = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & mask
    state = ((state ^ state >> 27) * 0x94D049BB133111EB) & mask
    return state ^ state >> 31


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**62))
def test_words_are_those_of_splitmix64(stream: int, counter: int) -> None:
    before = (stream + (counter - 1) * 0x9E3779B97F4A7C15) % 2**64
    found = draws.words(stream, np.array([counter], np.int64))
    assert int(found[0]) == reference_splitmix64(before)


@given(st.integers(0, 2**64 - 1))
def test_a_key_of_one_number_is_a_step_of_splitmix64(number: int) -> None:
    assert draws.key(number) == reference_splitmix64(number)


def test_the_order_of_a_keys_numbers_counts() -> None:
    assert len({draws.key(1, 2), draws.key(2, 1), draws.key(1), draws.key(1, 2, 0)}) == 4


@given(ids, st.data())
def test_company_changes_nothing(numbers: list[int], data: st.DataObject) -> None:
    together = drawn(numbers).uniform(0)
    at = data.draw(st.integers(0, len(numbers) - 1))
    assert drawn([numbers[at]]).uniform(0)[0] == together[at]
    assert np.array_equal(drawn(numbers[::-1]).uniform(0), together[::-1])


def test_purposes_epochs_and_seeds_draw_apart() -> None:
    numbers = list(range(100))
    columns = [drawn(numbers).bits(0), drawn(numbers).bits(1)]
    columns += [drawn(numbers, seed=2).bits(0), drawn(numbers, epoch=3).bits(0)]
    assert len(set(np.concatenate(columns).tolist())) == 400


def test_uniform_and_integers_fill_their_ranges_evenly() -> None:
    many = drawn(list(range(60_000)))
    unit = many.uniform(0, 2.0, 4.0)
    assert 2.0 <= unit.min() < 2.001
    assert 3.999 < unit.max() < 4.0
    counts = np.bincount(many.integers(1, 6), minlength=6)
    assert counts.shape == (6,)
    assert abs(counts - 10_000).max() < 6 * 100  # six standard deviations


def test_a_bell_has_mean_0_and_variance_1() -> None:
    bell = draws.bell(drawn(list(range(100_000))).bits(0))
    assert abs(bell.mean()) < 0.02
    assert abs(bell.var() - 1) < 0.02
    assert abs(bell).max() < 3.5
    flattest = np.zeros(1, np.uint64)
    assert draws.bell(flattest)[0] == -draws.bell(~flattest)[0]


def test_the_same_for_ever() -> None:
    """Augmentation of a resumed run goes on with these."""
    assert drawn([0, 1, 2]).integers(0, 1000).tolist() == [36, 458, 557]
