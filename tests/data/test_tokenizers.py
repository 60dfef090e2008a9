"""Text there and back."""

from __future__ import annotations

import pickle

import pytest
import tiktoken

from evener.data.tokenizers import Bpe, Byte, Char
from evener.errors import DownloadFailed, WrongValue

PAIRS = {bytes([i]): i for i in range(256)} | {b"he": 256, b"ll": 257, b"hell": 258}


@pytest.fixture
def small_bpe() -> Bpe:
    """A table of our own in place of the one that tiktoken would fetch."""
    bpe = Bpe("small")
    bpe.__dict__["_encoding"] = tiktoken.Encoding(
        "small", pat_str=r"\w+|\W+", mergeable_ranks=PAIRS, special_tokens={}
    )
    return bpe


def test_characters() -> None:
    tokenizer = Char("\n abc")
    assert tokenizer.encode("cab\n") == [4, 2, 3, 0]
    assert tokenizer.decode([4, 2, 3, 0]) == "cab\n"
    with pytest.raises(WrongValue, match=r"the text that is learned has no '!', 'z'"):
        tokenizer.encode("z!z")


def test_bytes() -> None:
    assert Byte().encode("é") == [0xC3, 0xA9]
    assert Byte().decode([0xC3, 0xA9, 0x41]) == "éA"
    assert Byte().decode([0xC3]) == "\N{REPLACEMENT CHARACTER}"


def test_byte_pairs(small_bpe: Bpe) -> None:
    assert small_bpe.size == 259
    assert small_bpe.encode("hello") == [258, ord("o")]
    assert small_bpe.decode([258, ord("o")]) == "hello"


def test_a_token_that_the_table_lacks_writes_nothing(small_bpe: Bpe) -> None:
    """A model may have more outputs than the table has tokens, and sample one."""
    assert small_bpe.decode([256, 50_303, 257]) == "hell"


def test_byte_pairs_travel_by_name(small_bpe: Bpe) -> None:
    assert pickle.loads(pickle.dumps(small_bpe)) == Bpe("small")
    assert len(pickle.dumps(small_bpe)) < 200


def test_an_unknown_table_is_named_with_the_known_ones() -> None:
    with pytest.raises(WrongValue, match="tiktoken has no encoding 'gpt9'") as caught:
        Bpe("gpt9").encode("x")
    assert "gpt2" in caught.value.fix


def test_without_a_network_it_is_said_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    with pytest.raises(DownloadFailed, match="could not get its table for 'p50k_base'") as caught:
        Bpe("p50k_base").encode("x")
    assert "TIKTOKEN_CACHE_DIR" in caught.value.fix
