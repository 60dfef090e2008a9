"""Pieces of logs add up to the log, whatever is in it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from evener.dashboard import logs


@given(st.binary(max_size=300), st.integers(4, 40))
def test_pieces_put_together_are_the_log(data: bytes, length: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rank_0.log"
        path.write_bytes(data)
        texts, at = [], 0
        while at < len(data):
            piece = logs.piece(path, at, length)
            assert piece["from"] == at < piece["to"] <= at + length
            texts.append(data[at : piece["to"]])
            at = piece["to"]
        assert b"".join(texts) == data


@given(st.text(max_size=200), st.integers(4, 40))
def test_no_character_is_torn(text: str, length: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rank_0.log"
        path.write_text(text, "utf-8", newline="")
        told, at = "", 0
        while at < path.stat().st_size:
            piece = logs.piece(path, at, length)
            told, at = told + piece["text"], piece["to"]
        assert told == text


def test_a_search_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "rank_0.log"
    path.write_text("".join(f"line {i}\n" for i in range(logs.MATCHES + 50)))
    first = logs.find(path, "LINE", 0)
    rest = logs.find(path, "line", first["to"])
    assert len(first["matches"]) == logs.MATCHES
    assert [m["line"] for m in rest["matches"]][-1] == f"line {logs.MATCHES + 49}"
    assert len(rest["matches"]) == 50
    assert rest["to"] == rest["size_bytes"]
