from __future__ import annotations

from evener.cli.marks import ASCII, UNICODE
from evener.cli.paper import columns, fit, flow, spread, text, wrapped


def test_a_line_that_fits_stays_and_a_longer_one_ends_in_a_mark() -> None:
    assert fit(text("abcdef"), 6, UNICODE).plain == "abcdef"
    assert fit(text("abcdef"), 5, UNICODE).plain == "abcd…"
    assert fit(text("abcdef"), 5, ASCII).plain == "ab..."
    assert fit(text("abcdef"), 2, ASCII).plain == ".."


def test_wide_characters_count_as_two_columns() -> None:
    assert fit(text("日本語日本語"), 7, UNICODE).cell_len <= 7


def test_the_right_edge_gives_way_to_the_left() -> None:
    assert spread(text("ab"), text("yz"), 8, ASCII).plain == "ab    yz"
    assert spread(text("abcdef"), text("yz"), 8, ASCII).plain == "abcdef"


def test_parts_flow_until_the_line_is_full() -> None:
    parts = [text("one"), None, text(""), text("two"), text("three")]
    assert flow(parts, 100).plain == "one   two   three"
    assert flow(parts, 10).plain == "one   two"


def test_columns_line_up_and_empty_ones_take_no_place() -> None:
    rows = [[text("a"), text(""), text("long")], [text("bbb"), text(""), text("x")]]
    assert [line.plain for line in columns(rows, right=(2,))] == ["a    long", "bbb     x"]


def test_text_is_broken_where_it_breaks_and_where_it_must() -> None:
    assert wrapped("ab\n\nabcdef", 4) == ["ab", "", "abcd", "ef"]
