"""MNIST and Fashion-MNIST: four files in the idx format, plain or gzipped."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from evener import contract
from evener.config.schema import Job, Mnist
from evener.data import cache, catalog, download, images
from evener.data.dataset import DataSet, Report
from evener.errors import DataDamaged, DataMissing
from evener.shape import Shape

_CLASSES = 10
_MARGIN = 2
_SCALES = {
    "mnist": images.Scale((0.1307,), (0.3081,)),
    "fashion_mnist": images.Scale((0.2860,), (0.3530,)),
}
_BESIDE = ("", "MNIST/raw", "FashionMNIST/raw")  # torchvision keeps its files deeper


def open_mnist(config: Mnist, job: Job, report: Report) -> DataSet:
    folder = _folder(config, report)
    paths = [_find(folder, part) for part in catalog.IDX_PARTS]
    crop = images.Crop(_MARGIN, False, job.train.seed) if config.augment else None
    train = _open_split(config.name, paths[0], paths[1], crop)
    validation = _open_split(config.name, paths[2], paths[3], None)
    return DataSet(train, validation, Shape("image", train.shape, _CLASSES))


def _folder(config: Mnist, report: Report) -> Path:
    if config.path is not None:
        return Path(config.path)
    folder = contract.cache_folder() / config.name
    download.ensure_all(catalog.idx_files(config.name), folder, config.mirror, report)
    return folder


def _find(folder: Path, part: str) -> Path:
    """The file of one part, however its name was written and wherever torchvision put it."""
    dotted = ".idx".join(part.rsplit("-idx", 1))
    for place in _BESIDE:
        for stem in (part, dotted):
            for ending in ("-ubyte", "-ubyte.gz"):
                path = folder / place / f"{stem}{ending}"
                if path.is_file():
                    return path
    what = f"{part}-ubyte.gz is not there, nor {part}-ubyte"
    names = ", ".join(f"{p}-ubyte.gz" for p in catalog.IDX_PARTS)
    raise DataMissing(what, where=str(folder), fix=f"put {names} there, or leave data.path out")


def _open_split(
    name: str, pixels: Path, labels: Path, crop: images.Crop | None
) -> images.StoredImages:
    identity = ("idx", cache.of_file(pixels), cache.of_file(labels))
    stored = images.stored(identity, lambda: _read_split(pixels, labels))
    return images.StoredImages(*stored, _SCALES[name], crop)


def _read_split(pixels: Path, labels: Path) -> tuple[images.Pixels, images.Labels]:
    found, answers = read_idx(pixels, 3), read_idx(labels, 1).astype(np.int64)
    if len(found) != len(answers):
        what = f"{len(found)} images, but {len(answers)} labels in {labels.name}"
        raise DataDamaged(what, where=str(pixels), fix="take both files from the same set")
    images.check_labels(answers, _CLASSES, labels)
    return found[:, None], answers


def read_idx(path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    """The bytes of an idx file with so many dimensions."""
    data = _bytes_of(path)
    head = 4 + 4 * dimensions
    if len(data) < head or data[:4] != bytes((0, 0, 8, dimensions)):
        raise _damaged(path, f"it does not begin like an idx file of {dimensions} dimensions")
    sizes = [int(n) for n in np.frombuffer(data, ">u4", dimensions, 4)]
    expected = head + math.prod(sizes)
    if len(data) != expected or not sizes[0]:
        shape = " x ".join(str(n) for n in sizes)
        raise _damaged(path, f"it has {len(data)} bytes; {shape} values take {expected}")
    return np.frombuffer(data, np.uint8, offset=head).reshape(sizes)


def _bytes_of(path: Path) -> bytes:
    if path.suffix != ".gz":
        return path.read_bytes()
    try:
        with gzip.open(path) as file:
            return file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, f"it cannot be unpacked: {error}") from error


def _damaged(path: Path, what: str) -> DataDamaged:
    fix = f"delete {path.name} and let it be downloaded again, or copy it anew"
    return DataDamaged(f"{path.name}: {what}", where=str(path), fix=fix)
