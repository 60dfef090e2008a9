"""One holder at a time; a holder that is gone holds nothing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from evener.data import lock


def test_one_at_a_time(tmp_path: Path) -> None:
    inside, most, order = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal inside, most
        with lock.hold(tmp_path / "lock"):
            with order:
                inside += 1
                most = max(most, inside)
            time.sleep(0.02)
            with order:
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert list(tmp_path.iterdir()) == []


def test_it_is_let_go_when_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), lock.hold(tmp_path / "lock"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot ask for a process harmlessly")
def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text(f"{socket.gethostname()} {dead_pid()} 1")
    waited: list[None] = []
    with lock.hold(path, lambda: waited.append(None)):
        assert f" {os.getpid()} " in path.read_text()
    assert not waited
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_stays_still_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The holder was on another machine, which is gone."""
    monkeypatch.setattr(lock, "_STILL_S", 0.3)
    path = tmp_path / "lock"
    path.write_text("another-machine 1 1")
    waited: list[None] = []
    with lock.hold(path, lambda: waited.append(None)):
        assert waited


def test_a_lock_that_is_touched_is_not_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_STILL_S", 1.0)
    monkeypatch.setattr(lock, "_TOUCH_S", 0.05)
    path = tmp_path / "lock"
    ended = threading.Event()
    entered: list[bool] = []

    def wait_for_it() -> None:
        with lock.hold(path):
            entered.append(ended.is_set())

    with lock.hold(path):
        waiter = threading.Thread(target=wait_for_it)
        waiter.start()
        time.sleep(1.5)
        ended.set()
    waiter.join()
    assert entered == [True]


def test_a_successors_lock_is_left_alone(tmp_path: Path) -> None:
    """We judged one mark dead; meanwhile another waiter has taken over."""
    path = tmp_path / "lock"
    path.write_text("a live successor")
    lock._take_away(path, "the dead one")
    assert path.read_text() == "a live successor"
    assert [p.name for p in tmp_path.iterdir()] == ["lock"]
