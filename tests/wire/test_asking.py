"""Requests to a head: what is asked for comes whole, and all trouble is of one kind."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from evener.wire.asking import Asking
from evener.wire.porter import Porter
from evener.wire.reading import Reading


def said(body: bytes, status: str = "200 OK", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


@contextmanager
def answering(*answers: bytes) -> Iterator[str]:
    """The address of one that says these, each on a connection that it then closes."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.settimeout(10)

        def serve() -> None:
            for answer in answers:
                caller, _ = door.accept()
                with caller:
                    caller.recv(65536)
                    caller.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{door.getsockname()[1]}"
        thread.join()


BROKEN = (
    b"",
    b"hello\r\n\r\n",
    said(b"no such thing", "404 Not Found"),
    said(b"{"),
    said(b"[1]"),
    said(b'{"a": 1}', length=99),
)


def test_every_trouble_is_an_oserror_and_the_next_request_starts_afresh() -> None:
    with (
        answering(*BROKEN, said(b'{"a": 1}')) as address,
        closing(Asking(address, "key", 5.0)) as own,
    ):
        for _ in BROKEN:
            with pytest.raises(OSError, match=r"head|closed|abort|reset"):
                own.ask("GET", "/")
        assert own.ask("GET", "/") == {"a": 1}
    with pytest.raises(OSError, match="refused"):
        own.ask("GET", "/")


def test_an_answer_without_what_was_asked_for_is_trouble_too() -> None:
    for empty in (said(b"{}"), said(b'{"records": [1]}'), said(b'{"length": [], "records": 7}')):
        with answering(empty, empty) as address:
            with closing(Reading(address, "key")) as reading, pytest.raises(OSError, match="read"):
                reading.since(0)
            with closing(Porter(address, "key")) as porter, pytest.raises(OSError, match="read"):
                porter.bring("logs/rank_0.log", 0, b"")


def test_what_has_come_of_a_file_stays_though_nobody_answers_for_a_while(tmp_path: Path) -> None:
    file, beside = tmp_path / "part", tmp_path / ".part.fetched"
    beside.write_bytes(b"half")
    away, wrong = said(b"", "503 Service Unavailable"), said(b"", "416 Range Not Satisfiable")
    with answering(b"", away, wrong) as address, closing(Porter(address, "key")) as porter:
        for kept in (b"half", b"half", b""):
            with pytest.raises(OSError, match=r"head|closed|reset"):
                porter.fetch_on("part", file)
            assert beside.read_bytes() == kept
    beside.write_bytes(b"half")
    with closing(Porter(address, "key")) as porter, pytest.raises(OSError, match="refused"):
        porter.fetch_on("part", file)
    assert beside.read_bytes() == b"half"


def test_a_file_that_breaks_off_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    with (
        answering(said(b"half", length=8), said(b"all of it")) as address,
        closing(Porter(address, "key")) as porter,
    ):
        with pytest.raises(OSError, match="4 bytes are missing"):
            porter.fetch("checkpoints/x", file)
        assert not file.exists()
        porter.fetch("checkpoints/x", file)
    assert file.read_bytes() == b"all of it"
