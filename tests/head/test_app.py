"""The routes: nothing without the secret, and one line of JSON for whatever is wrong."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from tests.dashboard.pages import Client
from tests.head.serving import SECRET, made, recorded

from evener import errors, events
from evener.dashboard.source import Ask
from evener.events import Alert, Record, RunStarted, StepCommitted
from evener.head import app
from evener.head.keeper import Keeper
from evener.rundir.layout import RunDir
from evener.rundir.store import Store
from evener.state import RunState

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"]
PATHS = [
    "/", "/v1/events", "/v1/events/", "/v1/state", "/v1/nothing", "/docs", "/../etc/passwd",
    "/v1/folder", "/v1/folder/configs/job.json",
]  # fmt: skip


async def nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    """In place of the pages, which have tests of their own."""
    await JSONResponse({"error": "no page"}, 401, {"WWW-Authenticate": "Bearer"})(
        scope, receive, send
    )


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    run = made(tmp_path)
    with Store.open(run.db, write=True) as store:
        yield Keeper(run, store)


@pytest.fixture
def client(tmp_path: Path, keeper: Keeper) -> Client:
    built = app.build(made(tmp_path), keeper, SECRET, nowhere)
    return Client(built, Authorization=f"Bearer {SECRET}")


def note(number: int, text: str = "x") -> dict[str, Any]:
    return events.to_dict(Record(Alert("note", text), 1000.0, "a00/1", number))


def is_one_line(body: bytes) -> bool:
    parsed = json.loads(body)
    return list(parsed) == ["error"] and "\n" not in parsed["error"] and b"\n" not in body


# --------------------------------------------------------------------------- the secret


@pytest.mark.parametrize("path", PATHS)
def test_nothing_answers_without_the_secret(client: Client, path: str) -> None:
    del client.headers["Authorization"]
    for method in METHODS:
        answer = client.request(method, path)
        assert answer.status_code == 401, method
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "given",
    [
        "", "Bearer", "Bearer ", f"Bearer {SECRET}x", f"Bearer {SECRET[:-1]}", f"bearer {SECRET}",
        SECRET, f"Basic {SECRET}", f"Bearer  {SECRET}", "Bearer \xe9",
    ],
)  # fmt: skip
def test_a_wrong_secret_is_none(client: Client, keeper: Keeper, given: str) -> None:
    headers = {"Authorization": given.encode("latin-1")}
    answer = client.post("/v1/events", json={"events": [note(1)]}, headers=headers)
    assert answer.status_code == 401
    assert is_one_line(answer.content)
    assert SECRET not in answer.text
    assert keeper.posts == 0


def test_two_authorizations_are_none(client: Client) -> None:
    del client.headers["Authorization"]
    headers = [("Authorization", f"Bearer {SECRET}"), ("Authorization", "Bearer x")]
    assert client.get("/v1/state", headers=headers).status_code == 401


def test_a_head_without_a_secret_is_not_built(tmp_path: Path, keeper: Keeper) -> None:
    with pytest.raises(ValueError, match="secret"):
        app.build(made(tmp_path), keeper, "", nowhere)


# ------------------------------------------------------------------------------- intake


def test_events_are_stored_once(client: Client, keeper: Keeper) -> None:
    for expected in (2, 0):
        answer = client.post("/v1/events", json={"events": [note(1), note(2)]})
        assert (answer.status_code, answer.json()) == (200, {"stored": expected, "asks": []})
    assert keeper.posts == 2


def test_an_empty_post_is_a_sign_of_life(client: Client, keeper: Keeper) -> None:
    assert client.post("/v1/events", json={"events": []}).json() == {"stored": 0, "asks": []}
    assert keeper.posts == 1


def test_a_kind_of_another_version_is_passed_over(client: Client) -> None:
    strange = note(2) | {"kind": "FromTheFuture"}
    answer = client.post("/v1/events", json={"events": [note(1), strange]})
    assert answer.json()["stored"] == 1


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"\xff\xfe", b"null", b"[]", b"{}", b'{"events": 1}', b'{"events": null}',
        b'{"events": [1]}', b'{"events": ["x"]}', b'{"events": [{"kind": "Alert"}]}',
        b'{"events": [{"kind": "StopAsked", "reason": 7, "time": 1, "source": "a", "number": 1}]}',
        b'{"events": [{"kind": "AgentEnded", "agent": "a", "time": 1, "source": "a",'
        b' "number": 99999999999999999999}]}',
        b'{"events": [{"kind": "AgentEnded", "agent": "a", "time": 1, "source": "\\ud800",'
        b' "number": 1}]}',
        b"[" * 200_000, b"9" * 10_000, b'{"events": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)  # fmt: skip
def test_what_is_no_list_of_events_is_400(client: Client, body: bytes) -> None:
    answer = client.post("/v1/events", content=body)
    assert answer.status_code == 400
    assert is_one_line(answer.content)
    assert "Traceback" not in answer.text


@settings(max_examples=25)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_body_makes_the_head_fail(body: bytes) -> None:
    class Nobody:
        def take(self, records: list[Record]) -> int:
            return len(records)

        def state(self) -> RunState:
            raise AssertionError

        def since(self, seq: int) -> list[tuple[int, Record]]:
            raise AssertionError

        asks: ClassVar[list[tuple[str, Ask]]] = []

    built = app.build(RunDir(Path("nowhere")), Nobody(), SECRET, nowhere)
    client = Client(built, Authorization=f"Bearer {SECRET}")
    answer = client.post("/v1/events", content=body)
    assert answer.status_code in (200, 400)


def test_what_a_person_asks_goes_out_with_every_answer(client: Client, keeper: Keeper) -> None:
    keeper.ask("checkpoint")
    keeper.ask("stop")
    first = client.post("/v1/events", json={"events": []}).json()["asks"]
    assert [what for _, what in first] == ["checkpoint", "stop"]
    assert len({name for name, _ in first}) == 2
    assert client.post("/v1/events", json={"events": []}).json()["asks"] == first


def test_one_bad_event_keeps_its_whole_post_out(client: Client, tmp_path: Path) -> None:
    bad = note(2)
    del bad["text"]
    assert client.post("/v1/events", json={"events": [note(1), bad]}).status_code == 400
    assert recorded(made(tmp_path)) == []


def test_too_much_at_once_is_413(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "LIMIT_BYTES", 1000)
    fits = json.dumps({"events": [note(1, "y" * 700)]}).encode()
    assert client.post("/v1/events", content=fits).status_code == 200
    answer = client.post("/v1/events", content=fits + b" " * 1000)
    assert answer.status_code == 413
    assert is_one_line(answer.content)


def test_too_much_in_pieces_of_unsaid_length_is_413(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "LIMIT_BYTES", 1000)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 600

    assert client.post("/v1/events", content=pieces()).status_code == 413


def test_a_full_disk_is_507_and_nothing_else_of_ours_has_a_trace(
    client: Client, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[tuple[Exception, int]] = [
        (errors.DiskFull("no space is left"), 507),
        (errors.RunActive("another writes"), 503),
        (errors.StoreDamaged("it is\ntorn"), 500),
        (RuntimeError("a secret of the inside"), 500),
    ]
    for error, status in failures:

        def fail(records: list[Record], error: Exception = error) -> int:
            raise error

        monkeypatch.setattr(keeper, "take", fail)
        answer = client.post("/v1/events", json={"events": []})
        assert answer.status_code == status
        assert is_one_line(answer.content)
        assert "inside" not in answer.text


# -------------------------------------------------------------------------------- state


def test_the_state_follows_the_events(client: Client) -> None:
    def tell(number: int, event: events.Event) -> None:
        record = events.to_dict(Record(event, 1000.0 + number, "a00/1", number))
        assert client.post("/v1/events", json={"events": [record]}).status_code == 200

    assert client.get("/v1/state").json()["phase"] == "starting"
    tell(1, RunStarted("demo", "demo", "gpt", "text", 1, 1, 32, False, "local"))
    tell(2, StepCommitted(1, 0, 32, math.nan, 32.0, 32, 0.1, None, 0.5, 1))
    shown = client.get("/v1/state").json()
    assert (shown["phase"], shown["step"], shown["loss"]) == ("training", 1, None)
    tell(3, StepCommitted(2, 0, 64, 0.5, 32.0, 32, 0.1, None, 0.5, 1))
    shown = client.get("/v1/state").json()
    assert (shown["step"], shown["loss"], len(shown["loss_tail"])) == (2, 0.5, 2)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nothing", 404), ("GET", "/v1/events", 405), ("DELETE", "/v1/state", 405)],
)
def test_what_is_not_there_is_said_in_json(
    client: Client, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert is_one_line(answer.content)


def test_the_record_is_read_in_pages(
    client: Client, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evener.head.keeper.PAGE", 2)
    told = [note(n) for n in (1, 2, 3)]
    client.post("/v1/events", json={"events": told})
    first = client.get("/v1/records").json()["records"]
    rest = client.get(f"/v1/records?after={first[-1][0]}").json()["records"]
    assert [record for _, record in first + rest] == told
    assert len(first) == 2
    assert client.get(f"/v1/records?after={rest[-1][0]}").json() == {"records": []}


@pytest.mark.parametrize("after", ["-1", "x", "9" * 30, "1.5", "\u0663"])
def test_a_place_that_no_record_has_is_refused(client: Client, after: str) -> None:
    assert client.get("/v1/records", params={"after": after}).status_code == 400
