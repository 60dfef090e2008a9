"""Of two heads of one run that of the later home stays."""

from __future__ import annotations

import http.client
import time
from pathlib import Path

from tests.head.serving import SECRET, ask, in_thread, made, recorded

from evener.events import Alert
from evener.head.rival import supersedes
from evener.head.server import ADOPTED
from evener.rundir import freight


def test_the_head_of_the_home_before_ends_and_says_why(tmp_path: Path) -> None:
    before, later = made(tmp_path / "before"), made(tmp_path / "later")
    freight.adopt(later, 1)
    with in_thread(later) as rival, in_thread(before, alias=rival) as own:
        deadline = time.monotonic() + 30
        while answers(own):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert answers(rival)
    assert [r.event for r in recorded(before)] == [Alert("warning", ADOPTED)]
    assert recorded(later) == []


def answers(head: str) -> bool:
    try:
        return ask(head, "GET", "/v1/home")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def test_only_a_later_home_counts(tmp_path: Path) -> None:
    run = made(tmp_path)
    with in_thread(run) as head:
        assert not supersedes(head, SECRET, freight.identity(run))
    freight.adopt(run, 2)
    with in_thread(run) as head:
        assert supersedes(head, SECRET, "1:ab")
        assert supersedes(head, SECRET, "no number: of one that began there")
        assert not supersedes(head, SECRET, "2:cd")
        assert not supersedes(head, "another secret", "1:ab")
    assert not supersedes("nowhere.invalid:1", SECRET, "1:ab")
