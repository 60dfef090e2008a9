"""Archives of images as engines save them, but small."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

CONFIG, MANIFEST = "config.json", "manifest.json"


def write(
    path: Path, layers: Mapping[str, str], content: bytes = b"of files", left_out: str = ""
) -> Path:
    """`layers` are hashes, and the files that they lie in, of which one may be left out. The list
    of contents comes last."""
    files = dict.fromkeys(layers.values(), content)
    files[CONFIG] = json.dumps({"rootfs": {"diff_ids": [*layers]}}).encode()
    told = [{"Config": CONFIG, "RepoTags": ["demo:1"], "Layers": [*layers.values()]}]
    files[MANIFEST] = json.dumps(told).encode()
    files.pop(left_out, None)
    with tarfile.open(path, "w") as made:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            made.addfile(entry, io.BytesIO(data))
    return path
