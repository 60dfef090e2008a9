"""Which files of the user's an image takes along."""

from __future__ import annotations

from pathlib import Path

import pytest

from evener.config.load import load_job
from evener.errors import DataMissing
from evener.launch.belongings import own_code


def test_what_is_to_be_included_is_there(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("from evener import training\n")
    job = load_job("train.py", ['image.include=["tables"]'], tmp_path).job
    with pytest.raises(DataMissing, match="tables"):
        own_code(job, ())
    (tmp_path / "tables").mkdir()
    assert own_code(job, ()) == (tmp_path / "tables",)
