"""A run from its start to its end, wherever it is: seen, stopped, resumed, hurt."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from evener import checkpoint
from evener.events import (
    CheckpointWritten,
    GenerationFormed,
    RankLost,
    RankStarted,
    RunEnded,
    StepCommitted,
)
from evener.rundir.layout import RunDir
from tests.backends import shell as shells
from tests.backends.places import CONTAINED, NEAR, Place
from tests.backends.shell import Shell, check_files, check_steps, events, said, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

EXAMPLE = Path(__file__).parents[2] / "examples" / "ddp_with_checkpoints.py"
STEPS = 60
MORE = 30


@pytest.mark.parametrize("place", ["local", "pool", "docker"], indirect=True)
def test_a_run_goes_to_its_end_and_leaves_files_and_nothing_else(shell: Shell) -> None:
    """On a Swarm: tests/backends/test_swarm.py, where all machines of it train."""
    done = shell.train(shell.write_job(steps=STEPS))
    assert done.returncode == 0, said(done)
    assert f"step {STEPS}/{STEPS}" in done.stdout
    assert "finished" in done.stdout
    assert shell.place.left(shell.folder) == []
    run = shell.run()
    assert len(events(run, StepCommitted)) == check_steps(run, STEPS) == STEPS
    check_files(run, ranks=2)
    over = shell.evener("resume", "job")
    assert (over.returncode, "E403" in over.stderr) == (5, True)


@pytest.mark.parametrize("place", CONTAINED, indirect=True)
def test_a_script_goes_on_from_its_own_checkpoint_whoever_dies(shell: Shell) -> None:
    shutil.copy(EXAMPLE, shell.folder / "train.py")
    own = '["--steps", "150", "--save-every", "5", "--pause-s", "0.05"]'
    job = f'[script]\npath = "train.py"\nargs = {own}\n{shell.place.job}'
    (shell.folder / "job.toml").write_text(job)
    run = shell.detach("job.toml")
    shell.await_step(run, 12)
    shell.place.strike(run)
    until(lambda: bool(events(run, RankLost)), "nobody misses it")
    until(lambda: bool(events(run, RunEnded)), "it does not end")
    [ended] = events(run, RunEnded)
    assert (ended.outcome, ended.step) == ("finished", 150), ended.error
    at_its_end = events(run, GenerationFormed)[-1].ranks  # a Swarm may take longer to start one
    logs = [run.rank_log(rank).read_text(encoding="utf-8") for rank in at_its_end]
    assert all("goes on from step" in log for log in logs), logs
    folder = shell.folder if shell.place.name == "local" else run.work
    assert (folder / "checkpoint.pt").is_file()
    shell.await_nothing_left()


def test_a_detached_run_is_seen_stopped_and_resumed_from_other_shells(shell: Shell) -> None:
    job = shell.write_long_job()
    run = shell.detach(job)
    shell.await_step(run, 10)
    [row] = json.loads(shell.evener("ps", "--json").stdout)
    assert (row["run"], row["phase"]) == ("job", "training")
    status = json.loads(shell.evener("status", "--json").stdout)
    assert status["step"] >= 10
    for rank in (0, 1):
        assert shell.evener("logs", "--rank", str(rank)).returncode == 0
    _page_shows_and_obeys(shell, run)
    again = shell.evener("resume", "job")
    assert (again.returncode, "E402" in again.stderr) == (5, True)
    stopped = shell.evener("stop")
    assert stopped.returncode == 0, said(stopped)
    assert shell.place.left(shell.folder) == []
    assert json.loads(shell.evener("ps", "--json").stdout) == []
    here = _stopped(run)
    resumed = shell.evener("resume", "job", "-o", f"train.steps={here + MORE}")
    assert resumed.returncode == 0, said(resumed)
    assert check_steps(run, here + MORE) == len(events(run, StepCommitted))
    assert shell.place.left(shell.folder) == []


def _page_shows_and_obeys(shell: Shell, run: RunDir) -> None:
    status, text = shell.place.page(run, "GET", "/api/runs/job/state")
    state = json.loads(text)
    assert (status, state["phase"], state["live"], state["acts"]) == (200, "training", True, True)
    assert all(m["load"]["memory_bytes"] > 0 for m in state["machines"] if m["load"])
    assert shell.place.page(run, "GET", "/api/runs/job/state", key="guessed")[0] == 401
    assert shell.place.page(run, "POST", "/api/runs/job/checkpoint")[0] == 202
    until(lambda: bool(events(run, CheckpointWritten)), "a checkpoint that was asked for")


def _stopped(run: RunDir) -> int:
    """The step at which a run was stopped; its checkpoint is there."""
    [ended] = events(run, RunEnded)
    assert ended.outcome == "stopped"
    newest, _ = checkpoint.newest(run.checkpoints)
    assert newest is not None
    assert newest.step == ended.step == check_steps(run)
    return ended.step


@pytest.mark.parametrize("place", NEAR, indirect=True)
def test_a_second_ctrl_c_stops_at_once(shell: Shell) -> None:
    """The first one alone, and the resume after it: tests/faults."""
    run = shell.run()
    with shell.attached(shell.write_long_job()) as process:
        shell.await_step(run, 5)
        _interrupt_twice(process)
    assert shell.place.left(shell.folder) == []
    assert {e.outcome for e in events(run, RunEnded)} == {"stopped"}  # each agent in a hurry tells


def _interrupt_twice(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGINT)
    os.killpg(process.pid, signal.SIGINT)
    told, _ = process.communicate(timeout=shells.PATIENCE_S)
    assert process.returncode == 130, told
    assert "Traceback" not in told


def test_a_run_that_lost_its_shell_and_a_machine_loses_no_step_and_leaves_nothing(
    shell: Shell,
) -> None:
    run = shell.run()
    with shell.attached(shell.write_long_job()) as process:
        shell.await_step(run, 5)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(shells.PATIENCE_S)
    shell.place.strike(run)
    until(lambda: bool(events(run, RankLost)), "nobody misses it")
    until(lambda: len([e for e in events(run, RankStarted) if e.rank == 1]) > 1, "it stays away")
    until(lambda: events(run, GenerationFormed)[-1].ranks == (0, 1), "it does not train again")
    shell.await_step(run, shells.last_step(run) + 20)
    assert shell.place.page(run, "POST", "/api/runs/job/stop")[0] == 202
    until(lambda: bool(events(run, RunEnded)), "it does not stop")
    shell.await_nothing_left()  # though no command of ours has cleared up
    _stopped(run)


@pytest.mark.parametrize("place", ["swarm"], indirect=True)
def test_runs_of_one_name_in_two_folders_do_not_touch_each_other(
    shell: Shell, place: Place, tmp_path: Path
) -> None:
    first = shell.run()
    with shell.attached(shell.write_long_job()) as process:
        shell.await_step(first, 5)
        folder = tmp_path / "elsewhere"
        folder.mkdir()
        other = Shell(folder, place)
        done = other.train(other.write_job(steps=STEPS), "--json")
        assert done.returncode == 0, said(done)
        told = [json.loads(line) for line in done.stdout.splitlines()]
        steps = [each["step"] for each in told if each["kind"] == "StepCommitted"]
        assert steps == [*range(1, STEPS + 1)]
        assert place.left(folder) == []
        shell.await_step(first, shells.last_step(first) + 5)
        _interrupt_twice(process)
    assert shell.place.left(shell.folder) == []
