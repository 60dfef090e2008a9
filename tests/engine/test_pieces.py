"""Pieces: every sample once, of one size on all ranks where statistics hang on it, none alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evener.config.schema import Train
from evener.data.order import Batch
from evener.engine.pieces import Cutting, accompany, cutting, describe, ghost_size

some_shares = st.lists(st.integers(0, 70), min_size=1, max_size=6).filter(any)


def train(**keys: object) -> Train:
    return Train.model_validate({"steps": 1, **keys})


@given(some_shares, st.none() | st.integers(1, 40), st.booleans(), st.integers(0, 99))
def test_all_ranks_pieces_together_are_the_batch(
    shares: list[int], size: int | None, paired: bool, start: int
) -> None:
    batch = Batch(0, start, start + sum(shares))
    way = Cutting(size, paired)
    spans = [s for i in range(len(shares)) for s in way.of(batch, shares, i).spans if s[0] < s[1]]
    assert [p for a, b in spans for p in range(a, b)] == list(range(batch.start, batch.stop))


@given(some_shares, st.integers(2, 40))
def test_no_sample_is_alone_and_pieces_are_nearly_equal(shares: list[int], size: int) -> None:
    batch = Batch(0, 0, sum(shares))
    for index in range(len(shares)):
        pieces = Cutting(size, paired=True).of(batch, shares, index)
        sizes = [b - a for a, b in pieces.spans]
        assert max(sizes) - min(sizes) <= 1
        assert max(sizes) <= max(size, 3)
        assert 1 not in sizes or batch.size == 1


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8))
def test_whoever_had_one_sample_has_two_or_none(shares: list[int]) -> None:
    given_to = accompany(shares)
    assert sum(given_to) == sum(shares)
    assert 1 not in given_to or sum(shares) == 1
    assert accompany(given_to) == given_to


@pytest.mark.parametrize(
    ("shares", "wanted"),
    [([23, 1], (22, 2)), ([1, 1], (2, 0)), ([2, 1], (3, 0)), ([1, 3], (2, 2)), ([1], (1,))],
)
def test_where_the_second_sample_comes_from(shares: list[int], wanted: tuple[int, ...]) -> None:
    assert accompany(shares) == wanted


@pytest.mark.parametrize(
    ("global_batch", "ranks", "size"),
    [(128, 1, 128), (128, 4, 32), (64, 4, 16), (64, 5, 13), (24, 8, 8), (6, 2, 6)],
)
def test_what_batch_normalisation_sees(global_batch: int, ranks: int, size: int) -> None:
    assert ghost_size(global_batch, ranks) == size
    way = cutting(train(global_batch=global_batch), True, ranks)
    assert way == Cutting(size, paired=True)
    assert describe(way).startswith(f"batch normalisation sees {size} samples at a time")


def test_ones_own_micro_batch_holds() -> None:
    assert cutting(train(micro_batch=5), True, 3).size == 5
    assert cutting(train(micro_batch=5), False, 3) == Cutting(5)
    assert cutting(train(), False, 3) == Cutting(None)
    assert describe(Cutting(5)) == ""


def test_in_step_with_others_all_take_one_piece() -> None:
    way = cutting(train(batchnorm="sync"), True, 2)
    batch = Batch(0, 10, 34)
    assert way.of(batch, (24, 0), 0).spans == ((10, 34),)
    ghost = way.of(batch, (24, 0), 1)
    assert ghost.ghost
    assert ghost.spans == ((10, 11),)
    assert "whole batch" in describe(way)
