"""Runs started as a person starts them: head and agents as they are, ranks without torch."""

from __future__ import annotations

import dataclasses
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from tests.agent.rehearsal import make_run

from evener import errors, process
from evener.events import AgentEnded, RunEnded, StepCommitted
from evener.launch.base import MASK, Handle, Started, read_handle, write_handle
from evener.launch.local import LocalLauncher
from evener.placement import Plan
from evener.rundir.layout import RunDir
from evener.rundir.store import Store

ROOT = Path(__file__).resolve().parents[2]
LAUNCHER = LocalLauncher(agent_module="tests.agent.run_agent")
PATIENCE_S = 60.0
E = TypeVar("E")


@pytest.fixture(autouse=True)
def fake_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Agents find the tests' own modules; a run is long unless a test says otherwise."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("FAKE_STEPS", "100000")


@pytest.fixture
def planned(tmp_path: Path) -> Iterator[tuple[RunDir, Plan]]:
    run, plan = make_run(tmp_path, ranks=2, agents=1, steps=100_000)
    yield run, plan
    LAUNCHER.stop(run, now=True)


def until_gone(run: RunDir) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while LAUNCHER.alive(run):
        assert time.monotonic() < deadline, story(run)
        time.sleep(0.05)


def until_step(run: RunDir, step: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not any(e.step >= step for e in recorded(run, StepCommitted)):
        assert time.monotonic() < deadline, story(run)
        time.sleep(0.05)


def recorded(run: RunDir, kind: type[E]) -> list[E]:
    with Store.open(run.db, write=False) as store:
        return [r.event for _, r in store.since(0) if isinstance(r.event, kind)]


def story(run: RunDir) -> str:
    return "\n".join(f"--- {p.name}\n{p.read_text()[-2000:]}" for p in run.logs.iterdir())


# ------------------------------------------------------------------------------ rendering


def test_rendering_shows_everything_but_the_secret_and_touches_nothing(tmp_path: Path) -> None:
    run, plan = make_run(tmp_path, ranks=3, agents=2, steps=1)
    before = sorted(tmp_path.rglob("*"))
    head, first, second = LocalLauncher(python="python").render(plan, run).commands
    assert (head.purpose, head.argv) == ("head", ("python", "-P", "-m", "evener.head"))
    assert first.argv == ("python", "-P", "-m", "evener.agent")
    assert first.env == {
        "EVENER_RUN_DIR": str(run.path),
        "EVENER_SECRET": MASK,
        "EVENER_AGENT": "a00",
        "EVENER_FIRST_RANK": "0",
        "EVENER_RANKS": "2",
        "EVENER_HEAD": "127.0.0.1:***",
        "EVENER_PEERS": "a01=127.0.0.1:***",
        "EVENER_EXPECTED_AGENTS": "2",
        "EVENER_HOSTS": "1",
    }
    assert (second.env["EVENER_AGENT"], second.env["EVENER_FIRST_RANK"]) == ("a01", "2")
    assert second.log == run.logs / "agent_a01.log"
    assert sorted(tmp_path.rglob("*")) == before


# --------------------------------------------------------------------------------- running


@pytest.mark.slow
@pytest.mark.parametrize("agents", [1, 2])
def test_a_run_ends_by_itself_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agents: int
) -> None:
    monkeypatch.setenv("FAKE_STEPS", "30")
    run, plan = make_run(tmp_path, ranks=2, agents=agents, steps=30)
    handle = LAUNCHER.start(LAUNCHER.render(plan, run))
    assert LAUNCHER.alive(run)
    assert len(handle.processes) == 1 + agents
    until_gone(run)
    assert [e.outcome for e in recorded(run, RunEnded)] == ["finished"]
    assert len(recorded(run, AgentEnded)) == agents


@pytest.mark.slow
def test_only_the_user_may_read_the_handle(planned: tuple[RunDir, Plan]) -> None:
    run, plan = planned
    handle = LAUNCHER.start(LAUNCHER.render(plan, run))
    assert stat.S_IMODE(run.handle_file.stat().st_mode) == 0o600
    assert read_handle(run) == handle
    assert handle.secret not in repr(handle)
    for file in run.path.rglob("*"):
        if file.is_file() and file != run.handle_file:
            assert handle.secret.encode() not in file.read_bytes(), file
    for started in handle.processes:
        line = Path(f"/proc/{started.pid}/cmdline")
        assert not line.exists() or handle.secret.encode() not in line.read_bytes()


@pytest.mark.slow
def test_stop_lets_the_run_end_with_its_step(planned: tuple[RunDir, Plan]) -> None:
    run, plan = planned
    LAUNCHER.start(LAUNCHER.render(plan, run))
    until_step(run, 5)
    LocalLauncher().stop(run, now=False)  # another shell
    until_gone(run)
    (ended,) = recorded(run, RunEnded)
    assert ended.outcome == "stopped"
    assert ended.step >= 5


@pytest.mark.slow
def test_stop_now_ends_what_does_not_react(planned: tuple[RunDir, Plan]) -> None:
    run, plan = planned
    handle = LAUNCHER.start(LAUNCHER.render(plan, run))
    until_step(run, 5)
    agent = next(p for p in handle.processes if p.purpose != "head")
    os.kill(agent.pid, signal.SIGSTOP)
    replace(LAUNCHER, stop_s=1.0).stop(run, now=True)
    assert not LAUNCHER.alive(run)


@pytest.mark.slow
def test_stop_now_is_recorded_where_the_agent_reacts(planned: tuple[RunDir, Plan]) -> None:
    run, plan = planned
    LAUNCHER.start(LAUNCHER.render(plan, run))
    until_step(run, 5)
    LAUNCHER.stop(run, now=True)
    assert not LAUNCHER.alive(run)
    assert [e.outcome for e in recorded(run, RunEnded)] == ["stopped"]


# ----------------------------------------------------------------------- failing to start


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "who"),
    [
        (LocalLauncher(agent_module="tests.launch.no_such_module"), "agent a00"),
        (LocalLauncher(head_module="tests.launch.no_such_module"), "head"),
    ],
)
def test_what_does_not_start_is_told_and_nothing_stays(
    planned: tuple[RunDir, Plan], launcher: LocalLauncher, who: str
) -> None:
    run, plan = planned
    with pytest.raises(errors.StartFailed) as caught:
        launcher.start(launcher.render(plan, run))
    assert f"the {who} ended with status 1" in caught.value.what
    assert "no_such_module" in caught.value.what
    assert caught.value.where.endswith(".log")
    assert not run.handle_file.exists()
    assert not launcher.alive(run)


def test_a_python_that_is_not_there_is_told(planned: tuple[RunDir, Plan]) -> None:
    run, plan = planned
    launcher = LocalLauncher(python="/no/such/python")
    with pytest.raises(errors.StartFailed, match="cannot be started"):
        launcher.start(launcher.render(plan, run))
    assert not launcher.alive(run)


# --------------------------------------------------------------------- telling pids apart


def test_a_recycled_pid_is_neither_alive_nor_signalled(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    run.create()
    # A shell without a terminal lets what it starts in the background ignore SIGINT.
    hears = "import signal; signal.signal(signal.SIGINT, signal.SIG_DFL); print(flush=True); "
    command = [sys.executable, "-c", f"{hears}signal.pause()"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as stranger:
        try:
            assert stranger.stdout is not None
            stranger.stdout.readline()
            born = process.birth(stranger.pid)
            assert born is not None
            old = Started("agent a00", stranger.pid, born + "0")
            write_handle(run, Handle("local", "127.0.0.1:1", "s", processes=(old,)))
            assert not LAUNCHER.alive(run)
            LAUNCHER.stop(run, now=False)
            LAUNCHER.stop(run, now=True)
            assert stranger.poll() is None
            same = dataclasses.replace(old, birth=born)
            write_handle(run, Handle("local", "127.0.0.1:1", "s", processes=(same,)))
            assert LAUNCHER.alive(run)
            LAUNCHER.stop(run, now=False)
            assert stranger.wait(PATIENCE_S) == -signal.SIGINT
            assert not LAUNCHER.alive(run)
        finally:
            stranger.kill()


def test_a_process_that_has_ended_has_no_birth() -> None:
    ended = subprocess.Popen(["true"])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    assert process.birth(ended.pid) is None  # a zombie
    ended.wait()
    assert process.birth(ended.pid) is None
    assert process.birth(os.getpid()) == process.birth(os.getpid()) is not None


def test_births_by_ps_tell_the_same_apart() -> None:
    """What other systems than Linux use, where this one has it."""
    ended = subprocess.Popen(["true"])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    assert process._posix_birth(ended.pid) is None
    ended.wait()
    assert process._posix_birth(ended.pid) is None
    assert process._posix_birth(os.getpid())


def test_a_run_that_was_never_started_is_not_alive(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    assert not LAUNCHER.alive(run)
    LAUNCHER.stop(run, now=True)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"processes": [1]}'])
def test_a_damaged_handle_is_named(tmp_path: Path, text: str) -> None:
    run = RunDir(tmp_path)
    run.create()
    run.handle_file.write_text(text)
    with pytest.raises(errors.StoreDamaged, match=r"handle\.json"):
        LAUNCHER.alive(run)
