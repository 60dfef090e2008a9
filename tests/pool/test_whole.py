"""A pool as people use it, on loopback: machines join, die and sleep, and its server dies too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from evener import contract, errors
from evener.events import CheckpointHome, RunEnded
from evener.rundir import checkpoints
from evener.rundir.layout import RunDir
from tests.backends.shell import check_steps, events, last_step, said, until
from tests.pool.machines import JOB, Machines, code, last_ranks, trained

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def standins(machines: Machines) -> list[RunDir]:
    """Where agents keep a copy of the record. Looked for there alone: checkpoints come and go."""
    found = machines.folder.glob("machine */state/evener/joined/*/runs/*/*/standin/*/run.db")
    return [RunDir(db.parent) for db in found]


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    found = Machines(tmp_path, environ={"DOCKER_HOST": "unix:///nowhere"})
    yield found
    found.end()


def test_a_pool_from_up_to_down(machines: Machines) -> None:
    (machines.folder / "job.toml").write_text(JOB)
    typed = code(machines.done(0, "up", "--address", contract.LOOPBACK))
    older = machines.on(3, "join", typed, evener="0.0.9")
    assert older.returncode == errors.VersionsDiffer.exit_status
    for way in ("pip install", "Docker engine", "evener up --image"):
        assert way in " ".join(older.stderr.split()), said(older)
    machines.done(1, "join", typed)
    waits = machines.state(1, "joined.json").read_text()
    machines.done(1, "join")  # it is in already: by the same process
    assert machines.state(1, "joined.json").read_text() == waits
    assert [*machines.states().values()] == ["waiting"] * 2

    run = RunDir(machines.folder / contract.RUN_DIR_DEFAULT / "job")
    told = machines.on(0, "run", "job.toml", "--on", "pool", "--detach")
    assert told.returncode == 0, said(told)
    assert "letters.py (1 file" in told.stderr
    assert "words.txt (1 file" in told.stderr
    until(lambda: last_step(run) >= 50, "it does not come to step 50")
    assert machines.on(0, "down").returncode == errors.RunActive.exit_status

    machines.kill(1, "joined.json")
    machines.done(2, "join", typed)
    until(lambda: trained(run, 0, 2), "the newcomer does not train")
    machines.kill(0, "pool.json")
    machines.done(0, "up")  # into the same pool
    machines.done(1, "join")  # it is back, without a code
    until(lambda: trained(run, 0, 1, 2), "who is back does not train")
    with machines.asleep(2):
        until(lambda: last_ranks(run) == (0, 1), "the others do not go on without it")
    until(lambda: last_ranks(run) == (0, 1, 2), "awake, it is not back by itself")

    machines.power_off(0)
    known = last_step(run)
    until(lambda: any(last_step(c) > known + 50 for c in standins(machines)), "nobody stands in")
    machines.done(0, "up")
    until(lambda: trained(run, 0, 1, 2) and last_step(run) > known + 50, "the head is not back")
    machines.done(0, "stop")
    stopped = last_step(run)
    assert checkpoints.entries(run.checkpoints)[-1].step == stopped

    machines.done(0, "resume", "job", "-o", f"train.steps={stopped + 40}")
    assert [end.outcome for end in events(run, RunEnded)] == ["stopped", "finished"]
    assert check_steps(run) == stopped + 40
    assert events(run, CheckpointHome)
    assert run.export_file.is_file()
    until(lambda: {*machines.states().values()} == {"waiting"}, "machines do not wait again")

    machines.done(2, "leave")
    assert len(machines.states()) == 2
    machines.done(0, "down")
    left = [f for f in machines.folder.glob("machine */state/**/*") if f.is_file()]
    assert left == []
    assert machines.on(1, "join").returncode == errors.NoPool.exit_status
