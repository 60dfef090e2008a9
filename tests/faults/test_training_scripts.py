"""A user's script, as plain Python runs it and as a run whose ranks are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from evener.events import GenerationFormed, StepCommitted
from tests.engine.test_loop import difference
from tests.faults import runs

pytestmark = pytest.mark.slow

SCRIPT = """
import sys, time
from pathlib import Path
import torch
from torch.nn import functional as F
from torch.utils.data import TensorDataset
from evener import training

def main(out, hurry):
    run = training.start(seed=7)
    inputs = torch.randn(400, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    data = TensorDataset(inputs, (inputs.sum(1) > 0).long())
    model = torch.nn.Sequential(torch.nn.Linear(5, 16), torch.nn.Tanh(), torch.nn.Linear(16, 2))
    optimizer = torch.optim.AdamW(model.double().parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 20, 0.5)
    run.prepare(model, optimizer, schedule)
    for inputs, labels in run.batches(data, global_batch=24, epochs=18):
        time.sleep(0.0 if hurry.exists() else 0.1)
        run.step(F.cross_entropy(model(inputs), labels, reduction="sum"), len(labels))
    if run.is_lead:
        torch.save(model.state_dict(), out)

main(sys.argv[1], Path(sys.argv[2]))
"""


def test_a_killed_rank_changes_nothing_of_what_a_script_learns(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    alone, together = tmp_path / "alone.pt", tmp_path / "together.pt"
    subprocess.run(
        [sys.executable, script, alone, tmp_path], env=runs.environment(), check=True, timeout=120
    )
    words = ["run", "train.py", "-o", "local.workers=3", "-o", "local.threads=1"]
    words += ["-o", "log.every_s=0.1", "--", str(together), str(tmp_path / "hurry")]
    with runs.started(tmp_path, *words) as process:
        run = runs.run_of(tmp_path, "train")
        runs.wait_for(run, StepCommitted, step=8)
        os.kill(runs.pid_of(run, 1), signal.SIGKILL)
        lost = runs.wait_for(run, GenerationFormed, generation=2)
        assert lost.ranks == (0, 2)  # without it, and then with the standby in its place
        assert runs.wait_for(run, GenerationFormed, generation=3).ranks == (0, 1, 2)
        (tmp_path / "hurry").touch()
        out, _ = process.communicate(timeout=runs.PATIENCE_S)
    assert process.returncode == 0, out
    assert difference(torch.load(alone), torch.load(together)) < 1e-12
    runs.assert_kept(run)


def test_what_a_script_raises_ends_the_run_with_its_line(tmp_path: Path) -> None:
    text = SCRIPT.replace(
        "time.sleep(0.0 if hurry.exists() else 0.1)", "assert run.step_number < 3, 'enough'"
    )
    (tmp_path / "train.py").write_text(text)
    lean = ("-o", "membership.standby=false")
    done = runs.evener(tmp_path, "run", "train.py", *lean, "--", "nowhere.pt", ".")
    line = 1 + text[: text.index("assert run")].count("\n")
    assert done.returncode == 4
    assert "E303" in done.stdout + done.stderr
    assert "AssertionError: enough" in done.stdout + done.stderr
    assert f"train.py:{line}" in done.stdout + done.stderr
