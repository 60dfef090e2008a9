"""The command with everything behind it: real processes, a real training."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

LONG_S = 120.0
ONE_RANK = ("-o", "local.workers=1", "-o", "local.agents=1", "-o", "local.device=cpu")


def evener(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "evener", *args],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=LONG_S,
        check=False,
    )


@pytest.mark.slow
def test_ctrl_c_stops_with_a_checkpoint_and_resume_goes_on_to_the_end(tmp_path: Path) -> None:
    job = ("run", "linear-regression", *ONE_RANK, "-o", "train.epochs=3000")
    with subprocess.Popen(
        [sys.executable, "-m", "evener", *job],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "  step " in line and "stopping" not in said:
                process.send_signal(signal.SIGINT)
                break
        said += process.stdout.read()
        assert process.wait(LONG_S) == 130, said
    assert "stopping with a checkpoint" in said
    assert "linear-regression stopped at step" in said
    assert "evener resume linear-regression" in said

    status = json.loads(evener(tmp_path, "status", "--json").stdout)
    assert status["phase"] == "stopped"
    epochs = status["step"] // status["steps_per_epoch"] + 2
    call = ("resume", "linear-regression", "--json", "-o", f"train.epochs={epochs}")
    resumed = evener(tmp_path, *call)
    assert resumed.returncode == 0, resumed.stderr
    events = [json.loads(line) for line in resumed.stdout.splitlines()]
    assert events[0]["kind"] == "RunStarted"
    assert events[0]["resumed"] is True
    steps = [e["step"] for e in events if e["kind"] == "StepCommitted"]
    assert min(steps) > status["step"]
    assert max(steps) == epochs * status["steps_per_epoch"]
    assert evener(tmp_path, "resume", "linear-regression").returncode == 5
    measured = json.loads(evener(tmp_path, "eval", "--json").stdout)
    assert measured["loss"] < 1.0
