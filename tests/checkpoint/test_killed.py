"""Whoever is killed while writing a checkpoint leaves the one before, or the whole new one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from evener.rundir.checkpoints import folder_of
from tests.checkpoint.killed import STEP

POINTS = 200


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="children are forked and killed")
def test_killed_at_any_point_of_its_writing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.checkpoint.killed", str(tmp_path), str(POINTS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    deaths = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(deaths) == 2 * POINTS
    for death in deaths:
        assert not death["lived"], death
        assert death["damaged"] == 0, death
        steps = {1.0: death["older"], 2.0: STEP}
        assert death["step"] == steps[death["value"]], death
        left = {
            folder_of(tmp_path, step).name for step in (death["step"], death["older"], STEP + 1)
        }
        assert {*death["names"]} == left, death
    for older in (STEP - 4, STEP):  # some died early, some late
        assert {d["value"] for d in deaths if d["older"] == older} == {1.0, 2.0}
