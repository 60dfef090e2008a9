"""What is sent of an image to an engine that has others. That engines take it, others test."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from evener.image import ferry
from tests.image import archives

LAYERS = {"sha256:a": "base/layer.tar", "sha256:b": "torch/layer.tar", "sha256:c": "code/layer.tar"}
OTHERS = {archives.MANIFEST, archives.CONFIG}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return archives.write(tmp_path / "image.tar", LAYERS)


@pytest.mark.parametrize(
    ("stacks", "sent"),
    [
        ([], ("sha256:a", "sha256:b", "sha256:c")),
        ([["sha256:x"], ["sha256:a"]], ("sha256:b", "sha256:c")),
        ([["sha256:a", "sha256:b", "sha256:old"], ["sha256:a"]], ("sha256:c",)),
        ([["sha256:b", "sha256:c"]], ("sha256:a", "sha256:b", "sha256:c")),  # on another base
    ],
)
def test_layers_that_another_image_stands_on_stay_at_home(
    archive: Path, stacks: list[list[str]], sent: tuple[str, ...]
) -> None:
    with tarfile.open(archive) as opened:
        names = {entry.name for entry in ferry.lacking(opened, stacks)}
    assert names == OTHERS | {LAYERS[layer] for layer in sent}


def test_a_file_that_is_two_layers_is_sent_if_one_is_lacking(tmp_path: Path) -> None:
    """Two steps that change nothing leave the same layer."""
    path = tmp_path / "image.tar"
    files = {
        "c": json.dumps({"rootfs": {"diff_ids": ["one", "none", "none"]}}).encode(),
        "manifest.json": json.dumps([{"Config": "c", "Layers": ["1", "0", "0"]}]).encode(),
        "1": b"", "0": b"",
    }  # fmt: skip
    with tarfile.open(path, "w") as made:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            made.addfile(entry, io.BytesIO(content))
    with tarfile.open(path) as opened:
        assert "0" in {e.name for e in ferry.lacking(opened, [["one", "none"]])}
        assert "1" not in {e.name for e in ferry.lacking(opened, [["one", "none"]])}


def test_it_needs_nothing_but_python() -> None:
    text = Path(ferry.__file__).read_text(encoding="utf-8")
    assert "import evener" not in text
    assert "from evener" not in text
    assert len(text) < 100_000, "it is one word of a command line"
