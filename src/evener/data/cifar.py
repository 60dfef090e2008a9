"""CIFAR-10 and CIFAR-100 as their authors publish them: binary or python files, or the archive."""

from __future__ import annotations

import fnmatch
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from evener import contract
from evener.config.schema import Cifar, Job
from evener.data import cache, catalog, download, images, unpickle
from evener.data.dataset import DataSet, Report
from evener.data.mapped import Mapped
from evener.errors import DataDamaged, DataMissing
from evener.shape import Shape

_PIXELS = 3 * 32 * 32
_MARGIN = 4
_AGAIN = "delete it and let it be downloaded again, or copy it anew"


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one of the two sets is written. Of a record's labels the last is the one to learn."""

    classes: int
    labels: int
    label_key: str  # of a python batch
    scale: images.Scale
    folders: tuple[str, ...]  # what its archives unpack to
    train: tuple[str, ...]  # patterns of file names; the first that fits any file is taken
    test: tuple[str, ...]

    def choose(self, split: str, names: list[str]) -> list[str]:
        for pattern in self.train if split == "train" else self.test:
            found = sorted(fnmatch.filter(names, pattern))
            if found:
                return found
        return []


_KINDS = {
    "cifar10": _Kind(
        classes=10,
        labels=1,
        label_key="labels",
        scale=images.Scale((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
        folders=("cifar-10-batches-bin", "cifar-10-batches-py"),
        train=("data_batch_*.bin", "train*.bin", "data_batch_[0-9]"),
        test=("test*.bin", "test_batch"),
    ),
    "cifar100": _Kind(
        classes=100,
        labels=2,
        label_key="fine_labels",
        scale=images.Scale((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
        folders=("cifar-100-binary", "cifar-100-python"),
        train=("train*.bin", "train"),
        test=("test*.bin", "test"),
    ),
}


def open_cifar(config: Cifar, job: Job, report: Report) -> DataSet:
    kind = _KINDS[config.name]
    place = _place(config, kind, report)
    crop = images.Crop(_MARGIN, True, job.train.seed) if config.augment else None
    train = images.StoredImages(*_stored(config, kind, place, "train"), kind.scale, crop)
    validation = images.StoredImages(*_stored(config, kind, place, "test"), kind.scale)
    return DataSet(train, validation, Shape("image", train.shape, kind.classes))


def _place(config: Cifar, kind: _Kind, report: Report) -> Path:
    """The folder with the set's files, or the archive of them."""
    remotes = catalog.archives(config.name)
    if config.path is None:
        folder = contract.cache_folder() / config.name
        return download.ensure_any(remotes, folder, config.mirror, report)
    path = Path(config.path)
    if path.is_file():
        return path
    for folder in (path, *(path / name for name in kind.folders)):
        if folder.is_dir() and kind.choose("train", [p.name for p in folder.iterdir()]):
            return folder
    for remote in remotes:
        if (path / remote.name).is_file():
            return path / remote.name
    raise _missing(path, kind, "train")


def _stored(config: Cifar, kind: _Kind, place: Path, split: str) -> tuple[Mapped, Mapped]:
    files = [place] if place.is_file() else _in_folder(place, kind, split)
    identity = (config.name, split, *map(cache.of_file, files))
    return images.stored(identity, lambda: _read_split(kind, split, place, files))


def _read_split(
    kind: _Kind, split: str, place: Path, files: list[Path]
) -> tuple[images.Pixels, images.Labels]:
    if place.is_file():
        parts = _in_archive(place, kind, split)
    else:
        parts = [(file, file.read_bytes()) for file in files]
    read = [_read_part(kind, data, where) for where, data in parts]
    return np.concatenate([p for p, _ in read]), np.concatenate([a for _, a in read])


def _in_folder(folder: Path, kind: _Kind, split: str) -> list[Path]:
    names = kind.choose(split, [p.name for p in folder.iterdir() if p.is_file()])
    if not names:
        raise _missing(folder, kind, split)
    return [folder / name for name in names]


def _in_archive(archive: Path, kind: _Kind, split: str) -> list[tuple[Path, bytes]]:
    """Read from the archive itself: nothing is unpacked to the disk."""
    try:
        with tarfile.open(archive) as tar:
            members = {PurePosixPath(m.name).name: m for m in tar if m.isfile()}
            names = kind.choose(split, list(members))
            files = [(name, tar.extractfile(members[name])) for name in names]
            parts = [(archive / name, file.read()) for name, file in files if file]
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        what = f"{archive.name} cannot be unpacked: {error}"
        raise DataDamaged(what, where=str(archive), fix=_AGAIN) from error
    if not parts:
        raise _missing(archive, kind, split)
    return parts


def _read_part(kind: _Kind, data: bytes, where: Path) -> tuple[images.Pixels, images.Labels]:
    read = _read_records if where.suffix == ".bin" else _read_pickle
    pixels, labels = read(kind, data, where)
    images.check_labels(labels, kind.classes, where)
    return pixels.reshape(-1, 3, 32, 32), labels


def _read_records(kind: _Kind, data: bytes, where: Path) -> tuple[images.Pixels, images.Labels]:
    record = kind.labels + _PIXELS
    if not data or len(data) % record:
        what = f"{where.name} has {len(data)} bytes, which is no whole number of {record}-byte"
        raise DataDamaged(f"{what} records (one image each)", where=str(where), fix=_AGAIN)
    rows = np.frombuffer(data, np.uint8).reshape(-1, record)
    return rows[:, kind.labels :], rows[:, kind.labels - 1].astype(np.int64)


def _read_pickle(kind: _Kind, data: bytes, where: Path) -> tuple[images.Pixels, images.Labels]:
    batch = unpickle.read_batch(data, str(where))
    pixels, labels = batch.get("data"), batch.get(kind.label_key)
    if (
        not isinstance(pixels, np.ndarray)
        or pixels.dtype != np.uint8
        or not isinstance(labels, list)
        or not all(isinstance(label, int) for label in labels)
        or pixels.shape != (len(labels), _PIXELS)
    ):
        what = f"{where.name} does not hold rows of {_PIXELS} bytes under 'data' and as many"
        raise DataDamaged(f"{what} labels under {kind.label_key!r}", where=str(where), fix=_AGAIN)
    return pixels, np.array(labels, np.int64)


def _missing(place: Path, kind: _Kind, split: str) -> DataMissing:
    wanted = " or ".join(kind.train if split == "train" else kind.test)
    return DataMissing(
        f"no file named like {wanted} is there",
        where=str(place),
        fix="put the set's own files or its own .tar.gz there, or leave data.path out",
    )
