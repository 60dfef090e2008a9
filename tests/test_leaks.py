"""The leak police catches every kind of leak, says what it was, and lets clean tests pass."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests import leaks

pytestmark = pytest.mark.skipif(not leaks.PROC.is_dir(), reason="this system has no /proc")

# Each leaky test with words the report about it must hold.
LEAKY = {
    "thread": ("threading.Thread(target=ended.wait, name='stray').start()", "thread 'stray'"),
    "child": ("subprocess.Popen(SLEEP)", "time.sleep(60)"),
    "zombie": (
        "pid = os.posix_spawn('/bin/true', ['true'], {}); "
        "os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)",
        "nobody has waited",
    ),
    "detached": ("subprocess.run(DETACHED, check=True)", "time.sleep(61)"),
    "file": ("kept.append(open(tmp_path / 'left.txt', 'w'))", "left.txt"),
    "socket": ("kept.append(socket.socket())", "socket:["),
    "environ": ("os.environ['SET_BY_TEST'] = 'yes'", "SET_BY_TEST changed: 'unset' became 'yes'"),
    "unset": ("del os.environ['HOME']", "HOME changed"),
    "folder": ("os.chdir(tmp_path)", "the current folder changed"),
    "write": ("Path('stray.txt').write_text('')", "written into the repository: stray.txt"),
    "database": (
        "sqlite3.connect('file:stray.db?mode=rwc', uri=True).close()",
        "written into the repository: stray.db",
    ),
    "child_write": (
        "subprocess.run(['touch', 'by_child.txt'], check=True)",
        "new or changed in the repository: by_child.txt",
    ),
}
CLEAN = """
def test_nothing(): pass
def test_own_thread():
    thread = threading.Thread(target=lambda: None); thread.start(); thread.join()
def test_own_process(): subprocess.run([sys.executable, "-c", ""], check=True)
def test_own_file(tmp_path):
    with open(tmp_path / "mine.txt", "w") as file: file.write("x")
def test_own_environ(monkeypatch, tmp_path):
    monkeypatch.setenv("MINE", "1"); monkeypatch.chdir(tmp_path)
def test_own_database(tmp_path):
    for path in (":memory:", tmp_path / "a.db", f"file:{tmp_path}/a.db?mode=ro"):
        sqlite3.connect(path, uri=True).close()
def test_thread_on_its_way_out(): threading.Timer(0.05, lambda: None).start()
@pytest.mark.skip(reason="an honest reason")
def test_skipped(): pass
"""
HEAD = """
import os, socket, sqlite3, subprocess, sys, threading
from pathlib import Path
import pytest
kept, ended = [], threading.Event()
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
DETACHED = [sys.executable, "-c", "import subprocess, sys; subprocess.Popen([sys.executable, '-c', "
            "'import time; time.sleep(61)'], start_new_session=True, stdout=subprocess.DEVNULL)"]
"""
LAST = "def test_last_lets_the_thread_end(): ended.set()\n"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest with the police says about all of the tests above, in a tree of its own."""
    tests = tmp_path_factory.mktemp("police") / "tests"
    tests.mkdir()
    for name in ("__init__.py", "conftest.py", "leaks.py"):
        text = Path(__file__).with_name(name).read_text()
        (tests / name).write_text(text.replace("PATIENCE_S = 30.0", "PATIENCE_S = 0.6"))
    leaky = [f"def test_{name}(tmp_path): {line}\n" for name, (line, _) in LEAKY.items()]
    (tests / "test_all.py").write_text("".join([HEAD, CLEAN, *leaky, LAST]))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "."],
        cwd=tests.parent,
        env={**os.environ, "CI": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", LEAKY)
def test_each_leak_is_an_error_that_names_it(report: str, name: str) -> None:
    _, _, rest = report.partition(f"ERROR at teardown of test_{name} ")
    section = rest.partition("ERROR at")[0]
    assert "this test left behind:" in section
    assert LEAKY[name][1] in section


def test_clean_tests_pass_and_skips_are_explained(report: str) -> None:
    passed = 7 + len(LEAKY) + 1
    assert f"{passed} passed, 1 skipped, {len(LEAKY)} errors" in report
    assert "1 skipped: an honest reason" in report


def test_leaked_processes_are_ended_by_restore() -> None:
    before = leaks.look()
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    leaks.restore(before)
    assert child.wait(timeout=10) in (0, -signal.SIGKILL)  # 0: the police reaped it
    assert leaks.left_behind(before) == []


def test_a_leak_that_ends_in_time_is_none() -> None:
    before = leaks.look()
    timer = threading.Timer(0.1, lambda: None)
    timer.start()
    assert leaks.left_behind(before, patience_s=5) == []
    timer.join()


def test_patience_has_an_end() -> None:
    before = leaks.look()
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait, name="patient")
    thread.start()
    try:
        assert any("patient" in s for s in leaks.left_behind(before, patience_s=0.01))
    finally:
        ended.set()
        thread.join()
