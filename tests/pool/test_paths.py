"""A machine that the others would not reach is known for one before a run counts on it."""

from __future__ import annotations

import pytest

from evener.pool.paths import hindrance

LAN = ("192.168.1.10",)


@pytest.mark.parametrize(
    ("door", "seen", "others", "why"),
    [
        ("192.168.1.11:4000", "192.168.1.11", LAN, ""),
        ("127.0.0.1:4000", "127.0.0.1", ("127.0.0.1",), ""),
        ("[fd00::2]:4000", "fd00::2", ("fd00::1",), ""),
        ("172.17.0.2:4000", "192.168.1.11", LAN, "behind NAT: it calls itself 172.17.0.2"),
        ("127.0.0.1:4000", "127.0.0.1", LAN, "through a tunnel"),
        ("", "192.168.1.11", LAN, "no way"),
    ],
)
def test_what_keeps_others_from_a_machine(
    door: str, seen: str, others: tuple[str, ...], why: str
) -> None:
    assert why in hindrance(door, seen, others)
    assert bool(why) == bool(hindrance(door, seen, others))
