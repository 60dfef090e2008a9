"""What a chart reads in place of every step: all of it, once, and nothing that is out of date."""

from __future__ import annotations

from itertools import pairwise

import hypothesis.strategies as st
from hypothesis import given

from evener.rundir.blocks import SHIFT, TOP, Piece, level_of, pieces

Steps = tuple[int, int]
SPANS = st.tuples(st.integers(-5000, 300_000), st.integers(0, 300_000))
MARKS = st.sets(
    st.integers(1, TOP).flatmap(lambda n: st.tuples(st.just(n), st.integers(-2, 20_000 >> n))),
    max_size=20,
)


def steps_of(piece: Piece) -> Steps:
    shift = SHIFT * piece.level
    return piece.first << shift, ((piece.last + 1) << shift) - 1


@given(span=SPANS, level=st.integers(0, TOP), marked=MARKS)
def test_pieces_hold_every_step_once_and_in_order(
    span: Steps, level: int, marked: set[Steps]
) -> None:
    first, last = span[0], span[0] + span[1]
    found = [steps_of(piece) for piece in pieces(first, last, level, marked)]
    assert found[0][0] == first
    assert found[-1][1] == last
    assert all(begin <= end for begin, end in found)
    assert all(after[0] == before[1] + 1 for before, after in pairwise(found))


@given(span=SPANS, level=st.integers(0, TOP), marked=MARKS)
def test_no_piece_has_a_marked_block_or_what_is_made_of_one(
    span: Steps, level: int, marked: set[Steps]
) -> None:
    for piece in pieces(span[0], span[0] + span[1], level, marked):
        for at, block in marked:
            if piece.level >= at:
                above = block >> SHIFT * (piece.level - at)
                assert not piece.first <= above <= piece.last


def test_without_marks_only_the_ends_are_finer() -> None:
    assert list(pieces(0, 4095, 2)) == [Piece(2, 0, 15)]
    assert list(pieces(3, 600, 2)) == [
        Piece(0, 3, 15), Piece(1, 1, 15), Piece(2, 1, 1), Piece(1, 32, 36), Piece(0, 592, 600),
    ]  # fmt: skip


def test_blocks_side_by_side_are_one_piece_also_where_they_are_marked() -> None:
    marked = {(1, block) for block in range(4, 9)}
    assert list(pieces(0, 255, 1, marked)) == [Piece(1, 0, 3), Piece(0, 64, 143), Piece(1, 9, 15)]


def test_the_level_is_the_finest_that_is_not_too_much() -> None:
    assert level_of(0, 99, 100) == 0
    assert level_of(0, 100, 100) == 1
    assert level_of(0, 1599, 100) == 1
    assert level_of(0, 10**6, 100) == 4
    assert level_of(0, 10**12, 100) == TOP
