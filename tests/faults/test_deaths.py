"""Any rank may be killed in any phase of a step: the run ends with an unbroken one's weights."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from evener.events import (
    Alert,
    CheckpointWritten,
    GenerationFormed,
    RankLost,
    RankStarted,
    RunEnded,
    StepCommitted,
)
from evener.launch import base
from evener.rundir.layout import RunDir
from tests.faults import runs
from tests.faults.deadly import PHASES

pytestmark = pytest.mark.slow
TOLERANCE = 1e-11
STEPS = 60


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    folder = tmp_path_factory.mktemp("unbroken")
    job = runs.write_job(folder, workers=1, steps=STEPS)
    done = runs.evener(folder, "run", str(job))
    assert done.returncode == 0, done.stdout + done.stderr
    return runs.run_of(folder)


def test_ranks_killed_in_every_phase_cost_nothing(tmp_path: Path, unbroken: RunDir) -> None:
    """One in each, the first rank among them, which leads; most die before the last is replaced."""
    job = runs.write_job(tmp_path, workers=len(PHASES) + 1, steps=STEPS)
    victims = [f"{rank}:{10 * rank + 10}:{phase}" for rank, phase in enumerate(PHASES)]
    done = runs.evener(
        tmp_path, "run", str(job), "-o", "balance.policy=equal",
        DEADLY=",".join(victims), DEADLY_ONCE=str(tmp_path / "died"),
    )  # fmt: skip
    run = runs.run_of(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(tmp_path.glob("died*"))) == len(PHASES)
    lost = [(e.rank, e.reason) for e in runs.events(run, RankLost)]
    assert sorted(lost) == [(rank, "killed by SIGKILL") for rank in range(len(PHASES))]
    steps = [e.step for e in runs.events(run, StepCommitted)]
    assert sorted(set(steps)) == list(range(1, STEPS + 1))
    assert runs.difference(run, unbroken) < TOLERANCE
    runs.assert_kept(run)


def test_a_clock_that_jumps_a_gpu_that_fails_and_a_hang_cost_nothing(
    tmp_path: Path, unbroken: RunDir
) -> None:
    """A rank that hangs is replaced and its stack kept; what torch raises of a GPU is no bug."""
    job = runs.write_job(tmp_path, steps=STEPS, pause_s=0.06)
    done = runs.evener(
        tmp_path, "run", str(job), "-o", "membership.hang_s=2",
        DEADLY="0:10:data:clock,2:20:forward:gpu,1:50:forward:hang",
        DEADLY_ONCE=str(tmp_path / "done"),
    )  # fmt: skip
    run = runs.run_of(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "done").exists()
    failed, hung = runs.events(run, RankLost)[:2]  # on a busy machine more may seem to hang later
    assert (failed.rank, hung.rank) == (2, 1)
    assert failed.reason.endswith("asked: CUDA error: unspecified launch failure")
    assert "made no progress for" in hung.reason
    assert "_hold_all_threads" in run.rank_log(1).read_text()
    assert runs.difference(run, unbroken) < TOLERANCE
    runs.assert_kept(run)


def test_one_rank_comes_back_from_the_standby_and_all_at_once_from_the_checkpoint(
    tmp_path: Path,
) -> None:
    job = runs.write_job(tmp_path, steps=1_000_000, pause_s=0.03)
    run = runs.run_of(tmp_path)
    with runs.started(tmp_path, "run", str(job), "-o", "checkpoint.every_steps=50") as process:
        runs.wait_for(run, StepCommitted, step=20)
        os.kill(runs.pid_of(run, 1), signal.SIGKILL)
        runs.wait_for(run, RankLost)
        second = runs.wait_for(run, RankStarted, life=1)
        assert second.rank == 1
        formed = runs.wait_for(run, GenerationFormed, generation=3)
        assert formed.ranks == (0, 1, 2)
        assert formed.step > 20
        runs.wait_for(run, StepCommitted, step=formed.step + 5)

        saved = runs.wait_for(run, CheckpointWritten)
        for rank in range(3):
            os.kill(runs.pid_of(run, rank), signal.SIGKILL)
        again = runs.wait_for(run, GenerationFormed, generation=formed.generation + 1)
        assert again.step >= saved.step
        again = runs.wait_for(run, GenerationFormed, generation=again.generation, ranks=(0, 1, 2))
        runs.wait_for(run, StepCommitted, step=again.step + 10, generation=again.generation)
        assert runs.evener(tmp_path, "stop").returncode == 0
        process.wait(runs.PATIENCE_S)
    assert runs.wait_for(run, RunEnded).outcome == "stopped"
    runs.assert_kept(run)


def test_a_head_that_is_killed_is_started_again_by_whichever_agent_is_left(tmp_path: Path) -> None:
    """Of two that share a run: the first one dies too, which leads, and its ranks with it."""
    job = runs.write_job(tmp_path, workers=4, agents=2, steps=1_000_000, pause_s=0.03)
    run = runs.run_of(tmp_path)
    with runs.started(tmp_path, "run", str(job)) as process:
        runs.wait_for(run, StepCommitted, step=20)
        handle = base.read_handle(run)
        assert handle is not None
        pids = {each.purpose: each.pid for each in handle.processes}
        os.kill(pids["head"], signal.SIGKILL)
        runs.wait_for(run, Alert, text="the head was gone: agent a00")
        os.kill(pids["agent a00"], signal.SIGKILL)  # and with it the head that it hosts
        formed = runs.wait_for(run, GenerationFormed, generation=2)
        assert formed.ranks == (2, 3)
        runs.wait_for(run, Alert, text="the head was gone: agent a01")
        runs.wait_for(run, StepCommitted, step=formed.step + 20)
        assert runs.evener(tmp_path, "stop").returncode == 0
        process.wait(runs.PATIENCE_S)
    runs.wait_for(run, RunEnded)
    runs.assert_kept(run)
