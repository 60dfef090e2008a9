"""Nothing without the key, and nothing done that our own page did not ask for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from evener.dashboard import app
from evener.dashboard.guard import token_of
from tests.dashboard.pages import KEY, Client, Played, played
from tests.synthetic_run import Script

SCRIPT = Script(steps=20, ranks=2, lost_at=999)
PATHS = [
    "/", "/runs/demo/", "/api/runs", "/api/runs/demo/state", "/api/runs/demo/stream", "/metrics",
    "/static/style.css", "/openapi.json", "/nothing", "/../etc/passwd",
]  # fmt: skip
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "BREW"]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Played]:
    with played(tmp_path, SCRIPT) as run:
        run.live = True
        yield run


@pytest.fixture
def stranger(run: Played) -> Client:
    return Client(app.build(run, KEY))


@pytest.mark.parametrize("path", PATHS)
def test_a_stranger_is_told_nothing(stranger: Client, path: str) -> None:
    told = set()
    for method in METHODS:
        answer = stranger.request(method, path)
        assert answer.status_code == 401, method
        told.add(answer.text)
    assert len(told - {""}) == 1
    assert "demo" not in told.pop()


@pytest.mark.parametrize("given", ["", "x", KEY[:-1], KEY + "x", KEY.upper(), "é" * 16])
def test_a_wrong_key_is_none(stranger: Client, given: str) -> None:
    cookie = {"Cookie": f"evener-8501={given}".encode()}
    assert stranger.get("/", params={"key": given}).status_code == 401
    assert stranger.get("/", headers=cookie).status_code == 401
    bearer = {"Authorization": f"Bearer {given}".encode()}
    assert stranger.get("/api/runs", headers=bearer).status_code == 401


def test_the_key_moves_from_the_address_into_a_cookie(stranger: Client) -> None:
    answer = stranger.get("/runs/demo/", params={"key": KEY, "x": "1 2"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/runs/demo/?x=1+2"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    opened = stranger.get("/runs/demo/", headers={"Cookie": cookie.partition(";")[0]})
    assert opened.status_code == 200
    assert KEY not in opened.text


def test_nobody_is_led_elsewhere(stranger: Client) -> None:
    answer = stranger.get("http://127.0.0.1:8501//evil.example/", params={"key": KEY})
    assert answer.headers["location"] == "/evil.example/"


def test_cookies_of_two_ports_do_not_meet(stranger: Client) -> None:
    other = {"Cookie": f'evener-8502="{KEY}"'}
    assert stranger.get("/", headers=other).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"X-Evener-Token": "guessed"}, 403),
        ({"X-Evener-Token": token_of(KEY), "Origin": "http://evil.example"}, 403),
        ({"X-Evener-Token": token_of(KEY), "Origin": "http://127.0.0.1:8502"}, 403),
        ({"X-Evener-Token": token_of(KEY), "Origin": "null"}, 403),
        ({"X-Evener-Token": token_of(KEY), "Origin": "http://127.0.0.1:8501"}, 202),
        ({"X-Evener-Token": token_of(KEY)}, 202),
    ],
)
def test_only_our_own_page_may_act(
    stranger: Client, run: Played, headers: dict[str, str], status: int
) -> None:
    cookie = stranger.get("/", params={"key": KEY}).headers["set-cookie"].partition(";")[0]
    answer = stranger.post("/api/runs/demo/stop", headers={"Cookie": cookie, **headers})
    assert answer.status_code == status
    assert run.asked == (["stop"] if status == 202 else [])


def test_programs_act_with_the_key(stranger: Client, run: Played) -> None:
    bearer = {"Authorization": f"Bearer {KEY}"}
    assert stranger.post("/api/runs/demo/checkpoint", headers=bearer).status_code == 202
    assert run.asked == ["checkpoint"]


def test_every_answer_says_what_a_browser_may_do_with_it(stranger: Client) -> None:
    for path in ("/", "/nothing"):
        headers = stranger.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


def test_without_a_key_there_is_no_page(run: Played) -> None:
    with pytest.raises(ValueError, match="key"):
        app.build(run, "")
