"""What a script writes is told of where it is lost, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evener.agent import outside, replica
from evener.agent.outside import LOOK_S, Outside
from evener.rundir.layout import RunDir


def write(file: Path, text: str = "of value") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_what_would_be_missed_is_told_of_once(tmp_path: Path) -> None:
    home, run = tmp_path / "tmp", RunDir(tmp_path / "run")
    for passing in (".cache/hub/model.bin", "tmpa1b2/x", "torchinductor_evener/k.so", "pymp-1/y"):
        write(home / passing)
    write(home / "empty", "")
    write(run.work / "model.pt")
    write(run.rank_log(0))
    write(run.path / replica.FOLDER / "run" / "run.db")
    told = list[Any]()
    looks = Outside((home, run.path), told.append)
    looks.look(LOOK_S)
    assert told == []

    write(home / "out" / "model.pt")
    write(run.path / "data" / "train.bin")
    for look in (2, 3):
        looks.look(look * LOOK_S)
    [alert] = told
    assert f"{home}/out/model.pt, {run.path}/data/train.bin; " in alert.text


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="to mount something needs root on Linux"
)
def test_what_is_mounted_there_stays(tmp_path: Path) -> None:
    told, there = list[Any](), tmp_path / "mounted"
    there.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", there], check=True)
    try:
        write(there / "data.bin")
        Outside((tmp_path,), told.append).look(LOOK_S)
    finally:
        subprocess.run(["umount", there], check=True)
    assert told == []
    write(there / "data.bin")  # the same, in a folder of its disk
    Outside((tmp_path,), told.append).look(LOOK_S)
    assert len(told) == 1


def test_processes_of_this_machine_write_on_disks_that_stay(tmp_path: Path) -> None:
    assert outside.lost(RunDir(tmp_path), apart=False) == []
    assert outside.lost(RunDir(tmp_path), apart=True) == [tmp_path]
