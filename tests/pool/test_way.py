"""A pool that moves: who has joined asks elsewhere after a while, and goes on where it answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from evener.pool import code, entry, lan
from evener.pool.way import AGAIN_S, LOST_S, MOST, Way
from evener.wire import calls
from evener.wire.calls import Server

PIN = "ab" * 12
OLD, OTHER, NEW = (Server(f"10.0.0.{n}", 7077, pin=PIN) for n in (1, 2, 3))


class Lan:
    """A clock, and what is found."""

    def __init__(self, *found: Server) -> None:
        self.now_s, self.asked, self.found = 0.0, 0, found

    def search(self, pin: str) -> tuple[Server, ...]:
        self.asked += 1
        assert pin == PIN
        return self.found

    def way(self) -> Way:
        return Way((OLD, OTHER), self.search, lambda: self.now_s)


def test_places_are_tried_in_turn_and_others_only_when_all_have_been_silent_for_long() -> None:
    there = Lan(NEW)
    way = there.way()
    tried = []
    for _ in range(4):
        way.missed()
        tried.append(way.trying)
    assert tried == [OTHER, OLD, OTHER, OLD]
    assert there.asked == 0
    there.now_s = LOST_S + 1
    way.missed()
    assert (way.trying, way.home, there.asked) == (NEW, OLD, 1)
    assert way.answered()
    assert (way.home, way.known) == (NEW, (NEW, OLD, OTHER))
    assert not way.answered()


def test_who_finds_nobody_goes_on_with_what_is_known_and_asks_again_later() -> None:
    there = Lan()
    way = there.way()
    there.now_s = LOST_S + 1
    for _ in range(6):
        way.missed()
    assert there.asked == 1
    assert way.trying in (OLD, OTHER)
    there.now_s += AGAIN_S
    way.missed()
    assert there.asked == 2


def test_a_stranger_who_claims_many_places_is_forgotten() -> None:
    there = Lan(*(Server(f"10.0.1.{n}", 1, pin="") for n in range(9)))
    way = there.way()
    there.now_s = LOST_S + 1
    way.missed()
    way.missed()
    assert way.trying.pin == PIN
    while way.trying != OTHER:
        way.missed()
    assert way.answered()
    assert way.known[0] == OTHER
    assert len(way.known) == MOST


def test_a_server_that_moves_is_called_where_its_file_says(tmp_path: Path) -> None:
    file = tmp_path / "where it is"
    server = Server("10.0.0.1", 7077, "/runs/k", "ab" * 12, str(file))
    assert calls.parse(server.text) == server
    assert server.connection(1.0).host == "10.0.0.1"
    file.write_text("10.0.0.9:7078")
    moved = server.connection(1.0)
    assert (moved.host, moved.port) == ("10.0.0.9", 7078)


def test_the_lan_finds_the_pool_of_a_fingerprint_and_no_other() -> None:
    place = lan.Place(PIN + "cd" * 20, ("127.0.0.1",), 7077)
    with lan.announced(lambda: place):
        assert lan.find(PIN, 10.0) == (("127.0.0.1", 7077),)
        assert lan.find("00" * 12, 0.5) == ()
    assert lan.PIN_DIGITS <= 2 * code.PIN_BYTES


@pytest.mark.parametrize(
    ("at", "found"),
    [
        ("lab", ("lab", 7077)),
        ("lab:80", ("lab", 80)),
        ("::1", ("::1", 7077)),
        ("[::1]:80", ("::1", 80)),
        ("[::1]", ("::1", 7077)),
    ],
)
def test_an_address_may_be_named_with_a_port_and_without(at: str, found: tuple[str, int]) -> None:
    assert entry._named(at, 7077) == found
