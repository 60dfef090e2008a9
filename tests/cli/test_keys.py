"""What a terminal sends, as keys."""

from __future__ import annotations

import pytest

from evener.cli.keys import decode


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"q", ["q"]),
        (b"jjk", ["j", "j", "k"]),
        (b"\x1b[A\x1b[B", ["up", "down"]),
        (b"\x1bOA\x1bOB", ["up", "down"]),
        (b"\x1b[5~\x1b[6~", ["page up", "page down"]),
        (b"\x1b[H\x1b[F\x1b[1~\x1b[4~\x1bOH\x1bOF", ["home", "end"] * 3),
        (b"\x1b[1;5A", []),  # with Ctrl: means nothing
        (b"\x1bq", ["q"]),  # Alt
        (b"\x1b[200~x", ["x"]),  # pasted
        ("é€q".encode(), ["q"]),
        (b"\x00\x01\x04\t\r\n\x7f", []),
        (b"", []),
    ],
)
def test_keys_are_told_by_what_they_send(data: bytes, keys: list[str]) -> None:
    assert decode(data) == (keys, b"")


@pytest.mark.parametrize("whole", [b"\x1b[A", b"\x1bOA", b"\x1b[5~", b"\x1b[1;5A"])
def test_a_key_that_comes_in_pieces_is_one_key(whole: bytes) -> None:
    for cut in range(1, len(whole)):
        keys, rest = decode(b"k" + whole[:cut])
        assert (keys, rest) == (["k"], whole[:cut])
        assert decode(rest + whole[cut:]) == decode(whole)
