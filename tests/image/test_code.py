"""Which files of the user's an image takes along."""

from __future__ import annotations

from pathlib import Path

import pytest

from evener.config.load import load_job
from evener.errors import DataMissing
from evener.image.code import own_code


def test_a_script_brings_the_modules_beside_it(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("from evener import training\nimport torch, nets\n")
    (tmp_path / "nets.py").write_text("from parts.layers import Layer\n")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "layers.py").write_text("import numbers_of\n")
    (tmp_path / "numbers_of.py").touch()
    (tmp_path / "other.py").touch()
    job = load_job("train.py", (), tmp_path).job
    found = own_code(job, (tmp_path,))
    assert [path.name for path in found] == ["train.py", "nets.py", "parts", "numbers_of.py"]


def test_what_is_to_be_included_is_there(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("from evener import training\n")
    job = load_job("train.py", ['image.include=["tables"]'], tmp_path).job
    with pytest.raises(DataMissing, match="tables"):
        own_code(job, (tmp_path,))
