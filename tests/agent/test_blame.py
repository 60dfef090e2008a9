"""What is said of a script that failed of where it ran, and not of itself."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from evener.agent import blame
from evener.rundir.layout import RunDir


@pytest.mark.parametrize(
    ("missing", "named"),
    [("data/tokens/train.bin", "data/tokens"), ("words.txt", "words.txt"), ("/far/x", "/far")],
)
def test_what_was_left_behind_is_said_with_the_key_that_brings_it(
    missing: str, named: str, tmp_path: Path
) -> None:
    run = RunDir(tmp_path)
    word = {
        "type": "FileNotFoundError", "text": f"No such file or directory: {missing!r}",
        "where": f"{run.work}/train.py:3", "errno": errno.ENOENT, "file": missing,
    }  # fmt: skip
    told = blame.of(1, word, (), run.rank_log(0)).error
    assert f'script.reads = ["{named}"]' in told.fix
    at_home = blame.of(1, {**word, "where": "/home/me/train.py:3"}, (), run.rank_log(0)).error
    assert "script.reads" not in at_home.fix
