"""What is typed to join: it comes back as it was, and a slip of the finger is noticed."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evener.errors import CodeRefused
from evener.pool.code import PORT, Code, decode, encode

CODE = Code(("192.168.1.10",), PORT, "00112233445566ff", "ab" * 12)


@given(
    st.lists(st.ip_addresses(v=4).map(str), max_size=3),
    st.lists(st.ip_addresses(v=6).map(str), max_size=1),
    st.integers(1, 65535),
    st.binary(min_size=8, max_size=8),
    st.binary(min_size=12, max_size=12),
    st.booleans(),
)
def test_what_is_encoded_is_decoded(
    four: list[str], six: list[str], port: int, secret: bytes, pin: bytes, image: bool
) -> None:
    code = Code((*four, *six), port, secret.hex(), pin.hex(), image)
    assert decode(encode(code)) == code


def test_it_is_short_and_can_be_read_aloud() -> None:
    text = encode(CODE)
    assert len(text) == 50
    assert decode(text.lower().replace("-", " ").replace("0", "o").replace("1", "l")) == CODE
    assert decode(f"{text}\r\n") == CODE  # from a file of Windows


def test_a_wrong_letter_is_noticed() -> None:
    text, draw = encode(CODE), random.Random(1)
    missed = 0
    for at in (i for i, letter in enumerate(text) if letter != "-"):
        other = draw.choice([d for d in "23456789ABCDEFGH" if d != text[at]])
        try:
            decode(text[:at] + other + text[at + 1 :])
            missed += 1
        except CodeRefused:
            pass
    assert missed <= 1


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("", "missing"),
        ("ABCDE", "wrong or missing"),
        ("AB!", "'!' is no letter"),
        ("00", "missing"),
    ],
)
def test_what_is_no_code_is_refused(typed: str, why: str) -> None:
    with pytest.raises(CodeRefused, match=why):
        decode(typed)
