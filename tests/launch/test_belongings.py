"""Which files of the user's an image takes along, and which containers see."""

from __future__ import annotations

from pathlib import Path

import pytest

from evener.config.load import load_job
from evener.errors import BadCombination, DataMissing
from evener.launch.belongings import mounts, own_code
from evener.launch.containers import Mount, mount_option


def test_what_is_to_be_included_is_there(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("from evener import training\n")
    job = load_job("train.py", ['image.include=["tables"]'], tmp_path).job
    with pytest.raises(DataMissing, match="tables"):
        own_code(job, ())
    (tmp_path / "tables").mkdir()
    assert own_code(job, ()) == (tmp_path / "tables",)


def test_data_are_seen_where_the_job_says_or_what_is_in_a_volume_is(tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text(
        '[train]\nsteps = 9\n[data]\nname = "text"\npath = "texts"\n'
    )
    told = ("model.name=bigram",)
    path = str(tmp_path / "texts")
    assert mounts(load_job("job.toml", told, tmp_path).job) == (Mount(path, path),)
    [volume] = mounts(load_job("job.toml", (*told, "data.volume=texts"), tmp_path).job)
    assert mount_option(volume) == f"--mount=type=volume,source=texts,target={path},readonly"
    with pytest.raises(BadCombination, match="need not be shipped"):
        load_job("job.toml", (*told, "data.volume=texts", "data.ship=true"), tmp_path)
