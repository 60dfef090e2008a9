"""A pool's server: over TLS, for those who are known, and a wall for everybody else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from evener import cluster
from evener.contract import LOOPBACK
from evener.errors import CodeRefused, VersionsDiffer
from evener.pool import entry
from evener.pool.client import AnsweredError, Owner
from evener.pool.entry import Entrance
from evener.pool.house import Pool
from evener.pool.tokens import TRIES
from evener.versions import EVENER
from evener.wire import calls, tls
from evener.wire.calls import Server, WrongCertificateError
from evener.wire.porter import Porter
from tests.head import serving as heads
from tests.pool.serving import POOL, caller, serving

MACHINE = cluster.to_dict(cluster.Machine("lab", "Linux", 4.0, 8 * 10**9, torch="2.13.0"))
TOLD = {"machine": MACHINE, "evener": EVENER}
IDLE = {"door": "127.0.0.1:9", "running": [], "ended": {}, "seen": "", "now": True}
OWNERS = [
    ("GET", "tokens"),
    ("POST", "tokens"),
    ("DELETE", "tokens/1"),
    ("GET", "runs"),
    ("POST", "runs"),
    ("DELETE", "runs/k"),
    ("POST", "down"),
]


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    with serving(tmp_path) as found:
        yield found


def owner(pool: Pool) -> Owner:
    return Owner(caller(pool, pool.owner))


def joined(pool: Pool) -> dict[str, Any]:
    secret = str(owner(pool).mint(60.0, 1)["secret"])
    return dict(caller(pool, secret).call("POST", "join", TOLD))


def status(pool: Pool, secret: str, method: str, path: str, told: Any = None) -> int:
    try:
        caller(pool, secret).call(method, path, told)
    except AnsweredError as answer:
        return answer.status
    return 200


def test_a_stranger_is_told_nothing_whatever_is_asked(pool: Pool) -> None:
    answers = set()
    asked = [*OWNERS, ("POST", "join"), ("POST", "wait"), ("GET", "members"), ("GET", "nothing")]
    for method, path in [*asked, ("PATCH", "join"), ("GET", "../runs/k/v1/state")]:
        for secret in ("", "wrong"):
            with closing(caller(pool, secret).server.connection(5.0)) as connection:
                headers = {"Authorization": f"Bearer {secret}"} if secret else {}
                connection.request(method, f"/pool/{path}", headers=headers)
                answer = connection.getresponse()
                told = sorted(name.lower() for name, _ in answer.getheaders())
                answers.add((answer.status, answer.read(), *told))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 404


def test_a_member_may_do_what_is_its_own_only(pool: Pool) -> None:
    me = joined(pool)["secret"]
    assert {status(pool, me, method, path) for method, path in OWNERS} == {404}
    assert status(pool, me, "GET", "members") == 200
    assert status(pool, me, "POST", "leave") == 200
    assert status(pool, me, "GET", "members") == 404


def test_a_member_is_listed_and_hears_of_wishes_at_once(pool: Pool) -> None:
    me, by = joined(pool), owner(pool)
    client = caller(pool, me["secret"])
    stamp = client.call("POST", "wait", IDLE)["stamp"]
    assert [(m["name"], m["state"], m["door"]) for m in by.members()] == [
        ("lab", "waiting", "127.0.0.1:9")
    ]
    heard: list[Any] = []
    question = {**IDLE, "seen": stamp, "now": False}
    asking = threading.Thread(
        target=lambda: heard.append(client.call("POST", "wait", question, timeout_s=30.0))
    )
    asking.start()
    wish = {"id": "w", "member": me["member"], "told": {"agent": "a00"}}
    run = {"key": "k", "name": "demo", "head": "127.0.0.1:1", "secret": "s", "wishes": [wish]}
    by.want(run)
    asking.join()
    assert [w["id"] for w in heard[0]["wishes"]] == ["w"]
    client.call("POST", "wait", {**IDLE, "running": ["w"]})
    assert [(m["state"], m["runs"]) for m in by.members()] == [("training", ["demo"])]
    client.call("POST", "wait", {**IDLE, "ended": {"w": (3, "why")}})
    found = by.run("k")
    assert found is not None
    assert [(w["ended"], w["words"]) for w in found["wishes"]] == [(3, "why")]


def test_a_machine_whose_connection_ends_is_away_at_once(pool: Pool) -> None:
    client = caller(pool, joined(pool)["secret"])
    stamp = client.call("POST", "wait", IDLE)["stamp"]
    with closing(client.server.connection(0.3)) as connection, pytest.raises(TimeoutError):
        client.call("POST", "wait", {**IDLE, "seen": stamp, "now": False}, over=connection)
    while owner(pool).members()[0]["state"] != "away":
        time.sleep(0.05)


def test_the_pool_is_the_same_after_a_restart_of_its_server(tmp_path: Path) -> None:
    with serving(tmp_path) as before:
        me = joined(before)
    with serving(tmp_path) as after:
        assert after.pin == before.pin
        assert [m["state"] for m in owner(after).members()] == ["away"]
        assert caller(after, me["secret"]).call("POST", "join", TOLD)["member"] == me["member"]


def test_codes_that_let_nobody_in_say_why_only_to_those_who_had_one(pool: Pool) -> None:
    used = str(owner(pool).mint(60.0, 1)["secret"])
    caller(pool, used).call("POST", "join", TOLD)
    with pytest.raises(AnsweredError, match="used as often"):
        caller(pool, used).call("POST", "join", TOLD)
    made = owner(pool).mint(60.0, 1)
    owner(pool).revoke(made["id"])
    with pytest.raises(AnsweredError, match="revoked"):
        caller(pool, made["secret"]).call("POST", "join", TOLD)
    assert [status(pool, "guess", "POST", "join", TOLD) for _ in range(TRIES)] == [404] * TRIES
    assert status(pool, "guess", "POST", "join", TOLD) == 429
    assert status(pool, str(owner(pool).mint(60.0, 1)["secret"]), "POST", "join", TOLD) == 429


def test_another_version_is_refused_with_both_and_what_to_do(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = str(owner(pool).mint(60.0, 1)["secret"])
    here = Server(LOOPBACK, pool.port, pin=pool.pin)
    with pytest.raises(VersionsDiffer) as refused:
        entry.first(Entrance(pool.pin, (here,), secret), "join", {**TOLD, "evener": "0.0.9"})
    assert EVENER in refused.value.what
    assert "pip install" in refused.value.fix
    assert owner(pool).tokens()[0]["uses"] == 1


def test_who_has_another_certificate_hears_nothing(pool: Pool, tmp_path: Path) -> None:
    other = calls.fingerprint(b"somebody else")
    with pytest.raises(WrongCertificateError):
        caller(pool, "x").server.__class__(LOOPBACK, pool.port, pin=other).connection(5.0).connect()
    by = Entrance(other, (Server(LOOPBACK, pool.port, pin=other),), "x", lambda pin: ())
    with pytest.raises(CodeRefused, match="in between"):
        entry.first(by, "join", TOLD)


def test_a_machine_whose_clock_is_wrong_joins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long ago as 1970, and after what its clock takes for the certificate's end."""
    monkeypatch.setattr(tls, "_UNTIL", datetime(1999, 1, 1))
    with serving(tmp_path, replace(POOL, secret="another secret of tests")) as pool:
        secret = str(owner(pool).mint(60.0, 1)["secret"])
        monkeypatch.setattr(time, "time", lambda: 0.0)
        here = Server(LOOPBACK, pool.port, pin=pool.pin)
        answered, told = entry.first(Entrance(pool.pin, (here,), secret), "join", TOLD)
        assert (answered, told["name"]) == (here, "lab")


def test_a_pool_that_has_moved_is_found_by_an_old_code_and_an_impostor_is_passed_over(
    tmp_path: Path,
) -> None:
    with (
        serving(tmp_path) as pool,
        serving(tmp_path / "other", replace(POOL, secret="an impostor's")) as other,
    ):
        secret = str(owner(pool).mint(60.0, 1)["secret"])
        gone, impostor, moved = (
            Server(LOOPBACK, port, pin=pool.pin) for port in (9, other.port, pool.port)
        )
        by = Entrance(pool.pin, (gone,), secret, lambda pin: (impostor, moved))
        assert entry.first(by, "join", TOLD)[0] == moved


def test_agents_reach_the_head_of_their_run_through_the_pool(pool: Pool, tmp_path: Path) -> None:
    run = heads.made(tmp_path)
    run.job_file.write_text("{}")
    with heads.in_thread(run) as address:
        told = {"key": "k", "name": "demo", "head": address, "secret": heads.SECRET, "wishes": []}
        owner(pool).want(told)
        at = Server(LOOPBACK, pool.port, "/runs/k", pool.pin).text
        with closing(Porter(at, heads.SECRET)) as porter:
            assert list(porter.listing()["configs"]) == ["configs/job.json"]
            porter.fetch("configs/job.json", tmp_path / "fetched")
            (tmp_path / ".again.fetched").write_text("{")  # what an earlier try has left
            porter.fetch_on("configs/job.json", tmp_path / "again")
            assert porter.bring("logs/rank_0.log", 0, b"words") == 5
        with closing(Porter(at, "wrong")) as porter, pytest.raises(OSError, match="404"):
            porter.listing()
        with closing(calls.parse(at).connection(5.0)) as connection:
            headers = {"Authorization": f"Bearer {heads.SECRET}"}
            connection.request("GET", "/runs/k/metrics", headers=headers)
            assert connection.getresponse().status == 404
    assert (tmp_path / "fetched").read_text() == (tmp_path / "again").read_text() == "{}"
    assert POOL.owner != POOL.secret
