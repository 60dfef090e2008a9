"""Scripts of others, run as torchrun would run them: lost and started again, or failed, once."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from evener.events import GenerationFormed, MachineLoad, RankLost, RunEnded, StepCommitted
from evener.launch.base import read_handle
from evener.rundir.layout import RunDir
from tests.faults import runs

pytestmark = pytest.mark.slow
EXAMPLE = runs.REPOSITORY / "examples" / "ddp_with_checkpoints.py"


def test_a_script_goes_on_from_its_own_checkpoint_whoever_is_lost(tmp_path: Path) -> None:
    shutil.copy(EXAMPLE, tmp_path / "train.py")
    words = ("run", "train.py", "--workers", "3", "-o", "local.agents=2", "-o", "local.threads=1")
    own = ("--", "--steps", "150", "--save-every", "5", "--pause-s", "0.05")
    run = runs.run_of(tmp_path, "train")
    with runs.started(tmp_path, *words, *own) as evener:
        runs.wait_for(run, StepCommitted, step=12)
        first = runs.wait_for(run, GenerationFormed)
        os.kill(runs.pid_of(run, 2), signal.SIGKILL)
        runs.wait_for(run, RankLost, reason="killed by SIGKILL")
        again = runs.wait_for(run, GenerationFormed, generation=first.generation + 1)
        runs.wait_for(run, StepCommitted, generation=again.generation, step=40)
        os.kill(agent_of(run, "agent a00"), signal.SIGKILL)  # with the first rank, and the store
        runs.wait_for(run, RankLost, reason="its agent a00 is gone")
        ended = runs.wait_for(run, RunEnded)
        shown, _ = evener.communicate(timeout=runs.PATIENCE_S)
    assert (ended.outcome, ended.step, evener.returncode) == ("finished", 150, 0)
    assert "started: train.py, 3 ranks" in shown
    steps = runs.events(run, StepCommitted)
    assert steps[-1].loss < steps[0].loss
    assert runs.events(run, MachineLoad)
    log = run.rank_log(2).read_text()
    assert "started again, as rank 2 of 3" in log
    assert "started again, as rank 0 of 1" in log
    assert "rank 0 of 1 goes on from step" in log
    assert not runs.alive(runs.pid_of(run, 2))


def agent_of(run: RunDir, purpose: str) -> int:
    handle = read_handle(run)
    assert handle is not None
    return next(p.pid for p in handle.processes if p.purpose == purpose)


BROKEN = {
    "raises": (
        "import os, time\nif os.environ['RANK'] == '1':\n    raise ValueError('bad data')\n"
        "time.sleep(60)\n",
        ("E303", "ValueError: bad data", "script.py:3"),
    ),
    "needs what is not there": (
        "import no_such_package.deep\n",
        ("E301", "'no_such_package'", "image.pip"),
    ),
    "asks": ("input('name? ')\n", ("E303", "EOFError", "nobody is there to type")),
    "leaves": ("import sys\nprint('bye')\nsys.exit(3)\n", ("E305", "status 3", "bye")),
    "wants nccl": (
        "import torch.distributed as d\nd.init_process_group('nccl')\n",
        ("E503", "nccl", "gloo"),
    ),
    "is no Python": ("def\n", ("E304", "script.py:1")),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_script_that_cannot_go_well_is_told_of_once(tmp_path: Path, case: str) -> None:
    source, words = BROKEN[case]
    (tmp_path / "script.py").write_text(source)
    local = ("--workers", "2", "-o", "local.threads=1", "-o", "local.device=cpu")
    done = runs.evener(tmp_path, "run", "script.py", *local)
    assert done.returncode != 0
    said = " ".join(done.stderr.split())
    assert all(word in said for word in words), done.stdout + done.stderr
    assert said.count("error E") == 1
    assert "Traceback" not in done.stdout + done.stderr
