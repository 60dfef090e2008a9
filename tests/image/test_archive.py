"""What is wrong with a file is said before an engine is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from evener import errors
from evener.docker import Engine
from evener.image import archive

NONE = Engine(("no-such-docker",))


@pytest.mark.parametrize("content", [b"", b"no tar at all", b"\0" * 10240])
def test_a_file_that_is_no_image(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "image.tar"
    file.write_bytes(content)
    with pytest.raises(errors.DataDamaged) as damaged:
        archive.load(NONE, file)
    assert str(file) == damaged.value.where
    assert "evener image save" in damaged.value.fix


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(errors.DataMissing):
        archive.load(NONE, tmp_path / "image.tar")
