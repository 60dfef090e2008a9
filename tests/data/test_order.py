"""Every epoch is a permutation, whoever takes which part of it, and it never changes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evener.data.order import Batch, Order, cut

samples = st.integers(1, 3000)
seeds = st.integers(0, 2**63 - 1)
epochs = st.integers(0, 10**6)


@given(samples, seeds, epochs)
def test_an_epoch_is_a_permutation(size: int, seed: int, epoch: int) -> None:
    ids = Order(size, 7, seed).ids(epoch, 0, size)
    assert ids.dtype == np.int64
    assert sorted(ids.tolist()) == list(range(size))


@pytest.mark.parametrize("size", [1, 2, 8191, 8192, 8193, 16384, 65536, 65537, 100_003])
def test_an_epoch_is_a_permutation_around_powers_and_chunks(size: int) -> None:
    ids = Order(size, 32, 5).ids(3, 0, size)
    assert np.array_equal(np.sort(ids), np.arange(size))


@given(st.integers(1, 30_000), st.data())
def test_random_access_equals_the_whole(size: int, data: st.DataObject) -> None:
    order = Order(size, 1, 11)
    start = data.draw(st.integers(0, size))
    stop = data.draw(st.integers(start, size))
    assert np.array_equal(order.ids(2, start, stop), order.ids(2, 0, size)[start:stop])


def test_positions_outside_of_an_epoch_are_refused() -> None:
    with pytest.raises(ValueError, match="positions 3 to 11 of 10"):
        Order(10, 4, 0).ids(0, 3, 11)


def test_huge_sets_are_asked_anywhere_at_once() -> None:
    size = 10**12
    ids = Order(size, 1, 1).ids(7, size // 2, size // 2 + 1000)
    assert len(set(ids.tolist())) == 1000
    assert 0 <= ids.min() <= ids.max() < size


def test_seeds_and_epochs_have_their_own_orders() -> None:
    def first(seed: int, epoch: int) -> tuple[int, ...]:
        return tuple(Order(1000, 1, seed).ids(epoch, 0, 20).tolist())

    assert len({first(seed, epoch) for seed in range(10) for epoch in range(10)}) == 100


def test_the_order_is_the_same_for_ever() -> None:
    """These numbers are a promise: a resumed run of another version goes on in this order."""
    assert Order(10, 4, 1337).ids(0, 0, 10).tolist() == [9, 3, 0, 7, 8, 1, 6, 5, 2, 4]
    assert Order(50_000, 128, 42).ids(3, 49_990, 50_000).tolist() == [
        48236,
        20646,
        8466,
        47566,
        32004,
        43316,
        19062,
        38070,
        1506,
        25222,
    ]


@pytest.mark.parametrize("size", [5, 10, 64])
def test_every_sample_comes_to_every_place_alike(size: int) -> None:
    """Chi-square over many epochs: six standard deviations would be no accident."""
    rounds = 2000
    counts = np.zeros((size, size))
    order = Order(size, 1, 9)
    for epoch in range(rounds):
        counts[np.arange(size), order.ids(epoch, 0, size)] += 1
    expected = rounds / size
    freedom = (size - 1) ** 2
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    assert abs(chi_square - freedom) / np.sqrt(2 * freedom) < 6


@given(st.integers(1, 500), st.integers(1, 600), st.integers(0, 40))
def test_batches_tile_the_epochs(size: int, global_batch: int, steps: int) -> None:
    order = Order(size, global_batch, 0)
    cursor, epochs = 0, {0: 0}
    for step in range(steps):
        assert order.cursor_of_step(step) == cursor
        batch = order.batch(cursor)
        assert batch.epoch == step // order.steps_per_epoch
        assert batch.start == epochs.setdefault(batch.epoch, 0)
        assert 1 <= batch.size <= global_batch
        assert batch.size == global_batch or batch.stop == size
        epochs[batch.epoch] = batch.stop
        cursor += batch.size
    assert all(stop == size for epoch, stop in epochs.items() if epoch < max(epochs))


def test_a_cursor_between_the_steps_goes_on_from_there() -> None:
    """As after a resume with another global batch."""
    assert Order(10, 4, 0).batch(13) == Batch(1, 3, 7)
    assert Order(10, 4, 0).batch(19) == Batch(1, 9, 10)


parts = st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(any)


@given(parts, st.integers(0, 1000), st.integers(1, 200))
def test_a_cut_covers_its_batch_once(shares: list[int], start: int, size: int) -> None:
    pieces = cut(Batch(0, start, start + size), shares)
    assert len(pieces) == len(shares)
    assert pieces[0][0] == start
    assert pieces[-1][1] == start + size
    assert all(first[1] == second[0] for first, second in pairwise(pieces))
    assert all(low <= high for low, high in pieces)
    if sum(shares) == size:
        assert [high - low for low, high in pieces] == shares


def test_the_tail_is_cut_in_the_proportion_of_the_shares() -> None:
    assert cut(Batch(0, 90, 100), (30, 10, 0)) == ((90, 98), (98, 100), (100, 100))


@given(st.integers(1, 300), st.integers(1, 64), seeds, st.data())
def test_every_epoch_has_each_sample_once_whatever_joins_and_leaves(
    size: int, global_batch: int, seed: int, data: st.DataObject
) -> None:
    """Shares change at every step, some steps do not commit; the sequence is that of one rank."""
    order = Order(size, global_batch, seed)
    seen: list[int] = []
    cursor = 0
    while cursor < 2 * size:
        batch = order.batch(cursor)
        shares = data.draw(parts)
        taken = [order.ids(batch.epoch, *piece).tolist() for piece in cut(batch, shares)]
        if data.draw(st.integers(0, 9)):  # else the group broke: the cursor does not move
            seen += [number for part in taken for number in part]
            cursor += batch.size
    alone = [i for epoch in range(2) for i in order.ids(epoch, 0, size).tolist()]
    assert seen == alone
    assert sorted(seen[:size]) == sorted(seen[size:]) == list(range(size))
