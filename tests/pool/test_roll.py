"""Who is in a pool, what lets others in: decided once, and still known after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from evener.cluster import Machine
from evener.pool.attendance import GRACE_S, HOLD_S, Attendance
from evener.pool.roll import RefusedError, Roll, Run, Wish
from evener.pool.tokens import TRIES, WINDOW_S, Guesses
from evener.versions import EVENER

MACHINE = Machine("lab", "Linux", 4.0, 8 * 10**9, torch="2.13.0")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def roll(tmp_path: Path) -> Roll:
    return Roll(tmp_path / "roll.json", Clock())


def again(roll: Roll) -> Roll:
    return Roll(roll._file, roll._now)


def test_a_token_lets_in_as_often_and_as_long_as_it_may(roll: Roll) -> None:
    token, secret = roll.mint(60.0, 2)
    assert roll.valid("another") is None
    for _ in range(2):
        roll.admit(MACHINE, EVENER, roll.valid(secret))
    with pytest.raises(RefusedError, match="used as often"):
        again(roll).valid(secret)
    token, secret = roll.mint(60.0, 1)
    assert roll.revoke(token.id)
    with pytest.raises(RefusedError, match="revoked"):
        again(roll).valid(secret)
    assert not roll.revoke("none")
    _, secret = roll.mint(60.0, 1)
    roll._now.now += 60.0  # type: ignore[attr-defined]
    with pytest.raises(RefusedError, match="expired"):
        roll.valid(secret)


def test_no_secret_is_on_the_disk(roll: Roll) -> None:
    token, secret = roll.mint(60.0, 1)
    _, shown = roll.admit(MACHINE, EVENER, token)
    text = roll._file.read_text()
    assert secret not in text
    assert shown not in text
    assert roll._file.stat().st_mode & 0o077 == 0


def test_machines_of_one_name_are_told_apart_and_still_known_after_a_restart(roll: Roll) -> None:
    known = [roll.admit(MACHINE, EVENER, None) for _ in range(3)]
    found = again(roll)
    assert [m.name for m in found.members.values()] == ["lab", "lab-2", "lab-3"]
    assert [found.member_of(secret) for _, secret in known] == [m for m, _ in known]
    assert found.member_of("another") is None
    found.dismiss(known[1][0].id)
    assert found.admit(MACHINE, EVENER, None)[0].name == "lab-2"


def test_wishes_outlive_the_server_until_they_have_ended_or_are_withdrawn(roll: Roll) -> None:
    member, _ = roll.admit(MACHINE, EVENER, None)
    first = Wish("w1", "k", member.id, {"agent": "a00"})
    roll.want(Run("k", "demo", "127.0.0.1:1", "secret", (first,)))
    second = Wish("w2", "k", member.id, {"agent": "a01"})
    roll.want(Run("k", "demo", "127.0.0.1:1", "secret", (second,)))
    assert [w.id for w in again(roll).wanted_of(member.id)] == ["w1", "w2"]
    roll.end("a stranger", "w1", 0, "")
    roll.end(member.id, "w2", 3, "its last words")
    assert [w.id for w in again(roll).wanted_of(member.id)] == ["w1"]
    roll.want(Run("k", "demo", "127.0.0.1:1", "a new start", (second,)))
    assert [w.id for w in again(roll).wanted_of(member.id)] == ["w2"]
    roll.withdraw("k")
    assert not list(again(roll).wanted_of(member.id))


def test_certificates_of_those_who_have_left_are_blocked_until_they_expire(tmp_path: Path) -> None:
    clock = Clock()
    roll = Roll(tmp_path / "roll.json", clock)
    stays, leaves = (roll.admit(MACHINE, EVENER, None)[0] for _ in range(2))
    roll.certify(stays, "aa", 100.0)
    roll.certify(leaves, "cc", 100.0)
    roll.certify(leaves, "bb", 10.0)
    assert roll.blocked() == []
    roll.dismiss(leaves.id)
    assert roll.blocked() == ["bb", "cc"]
    clock.now += 50.0
    found = again(roll)
    assert found.blocked() == ["cc"]
    found.certify(stays, "dd", 1.0)
    assert [each.fingerprint for each in found.certificates] == ["aa", "cc", "dd"]


def test_guessing_is_slowed_down_where_it_comes_from() -> None:
    guesses = Guesses()
    for now in range(TRIES):
        assert not guesses.too_many("10.0.0.1", now)
        guesses.note("10.0.0.1", now)
    assert guesses.too_many("10.0.0.1", TRIES)
    assert not guesses.too_many("10.0.0.2", TRIES)
    assert not guesses.too_many("10.0.0.1", TRIES + WINDOW_S)


def test_silence_and_an_end_of_the_connection_are_told_apart() -> None:
    clock = Clock()
    attendance = Attendance(clock)
    assert attendance.silent_s("m") is None
    attendance.heard("m").asking += 1
    clock.now += HOLD_S + GRACE_S / 2
    assert attendance.is_there("m")
    clock.now += GRACE_S
    assert not attendance.is_there("m")
    attendance.heard("m").asking -= 1
    assert attendance.is_there("m")
    attendance.gone("m")
    assert not attendance.is_there("m")
