"""Frames and the handshake, byte by byte: what is accepted, and that nothing else is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evener import errors
from evener.wire import frames
from evener.wire.frames import Connecting, FrameError, Serving, Splitter

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text(), values, max_size=3), max_size=5), st.integers(1, 17))
def test_any_frames_survive_any_cutting_of_the_stream(sent: list[frames.Frame], cut: int) -> None:
    stream = b"".join(frames.encode(f, 2**20) for f in sent)
    splitter = Splitter(2**20)
    lines = [
        line for i in range(0, len(stream), cut) for line in splitter.feed(stream[i : i + cut])
    ]
    assert [frames.decode(line) for line in lines] == sent


@pytest.mark.parametrize(
    "line", [b"", b"x", b"[1]", b'"text"', b"\xff\xfe", b"9" * 9000, b"[" * 9999]
)
def test_what_is_no_object_is_no_frame(line: bytes) -> None:
    with pytest.raises(FrameError):
        frames.decode(line)


def test_a_line_without_end_is_dropped_at_the_limit() -> None:
    splitter = Splitter(100)
    splitter.feed(b"x" * 99)
    with pytest.raises(FrameError, match="above 100 bytes"):
        splitter.feed(b"x")


def test_a_complete_line_above_the_limit_is_dropped() -> None:
    with pytest.raises(FrameError, match="above 100 bytes"):
        Splitter(100).feed(b"x" * 100 + b"\n")


def test_a_frame_above_the_limit_is_not_sent() -> None:
    with pytest.raises(FrameError, match="above the limit"):
        frames.encode({"text": "x" * 100}, 100)


def test_both_sides_learn_the_others_proved_hello() -> None:
    server, client = Serving("secret", {"agent": "a00"}), Connecting("secret", {"role": "rank"})
    client.finish(server.answer(client.answer(server.opening())))
    assert server.peer == {"role": "rank"}
    assert client.peer == {"agent": "a00"}


def test_the_server_refuses_a_client_with_another_secret() -> None:
    server, client = Serving("secret", {}), Connecting("other", {"role": "rank"})
    with pytest.raises(FrameError, match="secret"):
        server.answer(client.answer(server.opening()))
    assert server.peer == {}


def test_the_client_refuses_a_server_with_another_secret() -> None:
    client, impostor = Connecting("secret", {}), Serving("other", {})
    said = json.loads(client.answer(impostor.opening()))
    forged = Connecting("other", {})
    forged._nonce = said["nonce"]
    with pytest.raises(FrameError, match="secret"):
        client.finish(impostor.answer(forged.answer(impostor.opening())))
    assert client.peer == {}


def test_a_changed_hello_breaks_the_proof() -> None:
    server, client = Serving("secret", {}), Connecting("secret", {"role": "rank", "agent": "a00"})
    said = json.loads(client.answer(server.opening()))
    said["hello"]["agent"] = "a01"
    with pytest.raises(FrameError, match="secret"):
        server.answer(json.dumps(said).encode())


def test_a_proof_cannot_be_replayed_to_another_connection() -> None:
    first, client = Serving("secret", {}), Connecting("secret", {"role": "rank"})
    answer = client.answer(first.opening())
    with pytest.raises(FrameError, match="secret"):
        Serving("secret", {}).answer(answer)


def test_a_proof_cannot_be_reflected() -> None:
    """An attacker who has only what we said ourselves proves nothing with it."""
    client = Connecting("secret", {})
    said = json.loads(client.answer(frames.encode({"evener": 1, "nonce": "n"}, 4096)))
    with pytest.raises(FrameError, match="secret"):
        client.finish(json.dumps({"hello": {}, "proof": said["proof"]}).encode())


@pytest.mark.parametrize(
    "answer",
    [
        b"GET / HTTP/1.1",
        b"{}",
        b'{"nonce": "n", "hello": {}, "proof": 7}',
        b'{"nonce": "n", "hello": {}, "proof": "\\ud800"}',
        b'{"nonce": "n", "hello": [], "proof": "p"}',
        b'{"nonce": "", "hello": {}, "proof": "p"}',
    ],
)
def test_garbage_is_no_handshake(answer: bytes) -> None:
    with pytest.raises(FrameError):
        Serving("secret", {}).answer(answer)


@given(
    st.binary(max_size=200)
    | st.dictionaries(st.sampled_from(["nonce", "hello", "proof", "evener"]), values).map(
        lambda said: json.dumps(said).encode()
    )
)
def test_a_strangers_handshake_is_refused_whatever_it_says(line: bytes) -> None:
    with pytest.raises(FrameError):
        Serving("secret", {}).answer(line)
    client = Connecting("secret", {})
    client.answer(frames.encode({"evener": 1, "nonce": "n"}, 4096))
    with pytest.raises(FrameError):
        client.finish(line)


def test_another_version_is_named() -> None:
    with pytest.raises(FrameError, match="version 2"):
        Connecting("secret", {}).answer(b'{"evener": 2, "nonce": "n"}')


def test_nothing_starts_without_a_secret() -> None:
    with pytest.raises(errors.StartFailed):
        Serving("", {})
    with pytest.raises(errors.StartFailed):
        Connecting("", {})


@pytest.mark.parametrize(
    ("text", "parts"),
    [("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:0", ("::1", 0)), ("host:65535", ("host", 65535))],
)
def test_addresses_come_apart_and_together(text: str, parts: tuple[str, int]) -> None:
    assert frames.split_address(text) == parts
    assert frames.join_address(*parts) == text


@pytest.mark.parametrize("text", ["", "host", "host:", ":80", "host:eighty", "host:70000"])
def test_what_is_no_address_is_named(text: str) -> None:
    with pytest.raises(errors.StartFailed, match="no address"):
        frames.split_address(text)
