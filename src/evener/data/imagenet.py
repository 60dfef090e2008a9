"""Folders of pictures, one per class, under train/ and val/: decoded when they are fetched."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evener.config.schema import Imagenet, Job
from evener.data import cache, draws, images
from evener.data.dataset import DataSet, Ids, Report
from evener.data.mapped import Mapped, save
from evener.errors import DataDamaged, DataMissing, ExtraMissing, LabelOutOfRange
from evener.shape import Shape

if TYPE_CHECKING:
    import torch

_SCALE = images.Scale((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_SUFFIXES = (".jpeg", ".jpg", ".png", ".webp", ".bmp", ".ppm", ".tif", ".tiff")
_LAYOUT = "one folder per class under train/ and under val/, pictures in each"
_TRIES = 10  # draws of a crop before the middle of the picture is taken
_LEAST_AREA, _FLATTEST = 0.08, 0.75  # of a training crop: part of the picture, side by side
_KEPT = 0.875  # of a validation picture's shorter side
_NUMBERS = 5  # that one try draws
_FLIPPED = _TRIES * _NUMBERS  # what is drawn after all tries

Box = tuple[int, int, int, int]  # left, top, right, bottom


@dataclass(frozen=True)
class Pictures:
    """One split. `names` holds all paths one after another; `ends` where each one ends."""

    root: Path
    names: Mapped
    ends: Mapped
    labels: Mapped
    size: int
    seed: int | None = None  # None: nothing is drawn, the middle is shown

    def __len__(self) -> int:
        return len(self.labels.array)

    def path(self, number: int) -> Path:
        start = int(self.ends.array[number - 1]) if number else 0
        return self.root / os.fsdecode(self.names.array[start : self.ends.array[number]].tobytes())

    def fetch(self, ids: Ids, epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        numbers = [None] * len(ids) if self.seed is None else _drawn(self.seed, epoch, ids)
        pixels = np.empty((len(ids), self.size, self.size, 3), np.uint8)
        for place, number in enumerate(ids.tolist()):
            pixels[place] = _read(self.path(number), self.size, numbers[place])
        channels_first = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        return _SCALE.apply(channels_first), torch.from_numpy(self.labels.array[ids])


def open_imagenet(config: Imagenet, job: Job, report: Report) -> DataSet:
    if find_spec("PIL") is None:
        what = "decoding pictures needs the package pillow"
        raise ExtraMissing(what, where="data.name", fix='pip install "evener[images]"')
    root = Path(config.path)
    classes = _classes(root / "train")
    train = _index(root / "train", classes, report)
    validation = _index(root / "val", classes, report)
    seed = job.train.seed if config.augment else None
    return DataSet(
        Pictures(root / "train", *train, config.size, seed),
        Pictures(root / "val", *validation, config.size),
        Shape("image", (3, config.size, config.size), len(classes)),
    )


# ------------------------------------------------------------------- which pictures there are


def _classes(folder: Path) -> list[str]:
    if not folder.is_dir():
        what = f"there is no folder {folder.name}/"
        raise DataMissing(what, where=str(folder.parent), fix=f"put there {_LAYOUT}")
    names = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not names:
        raise DataMissing("no class has a folder", where=str(folder), fix=f"put there {_LAYOUT}")
    return names


def _index(folder: Path, classes: list[str], report: Report) -> tuple[Mapped, Mapped, Mapped]:
    """Names, ends and labels of a split: listed anew when a class's folder has changed."""
    own = _classes(folder)
    foreign = sorted(set(own) - set(classes))
    if foreign:
        what = f"{folder.name}/ has a class {foreign[0]!r} that train/ does not have"
        raise LabelOutOfRange(what, where=str(folder), fix="name the classes alike in both")
    changes = [f"{name} {(folder / name).stat().st_mtime_ns}" for name in own]

    def fill(place: Path) -> None:
        names, labels = [], []
        for done, name in enumerate(own):
            found = list(_pictures(folder / name))
            names += [os.fsencode(f"{name}/{picture}") for picture in found]
            labels += [classes.index(name)] * len(found)
            report(f"listing {folder}, class {done + 1} of {len(own)}", 0, 0)
        save(place / "names.npy", np.frombuffer(b"".join(names), np.uint8))
        save(place / "ends.npy", np.cumsum([len(n) for n in names]))
        save(place / "labels.npy", np.array(labels, np.int64))

    at = cache.entry("pictures", (str(folder.absolute()), *classes, *changes), fill)
    return Mapped(at / "names.npy"), Mapped(at / "ends.npy"), Mapped(at / "labels.npy")


def _pictures(folder: Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        found = {e.name: e.stat().st_size for e in entries if _is_picture(e.name)}
    if not found:
        what = f"the class {folder.name!r} has no picture"
        raise DataMissing(what, where=str(folder), fix=f"put there {', '.join(_SUFFIXES)} files")
    for name in sorted(found):
        if not found[name]:
            what = f"the picture {name} is empty"
            raise DataDamaged(what, where=str(folder / name), fix="copy it anew, or delete it")
        yield name


def _is_picture(name: str) -> bool:
    return name.lower().endswith(_SUFFIXES) and not name.startswith(".")


# ------------------------------------------------------------------- what is seen of them


def _read(path: Path, size: int, numbers: Sequence[float] | None) -> images.Pixels:
    """The part of the picture that is shown, `size` pixels on a side, in RGB."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            box = middle(*picture.size) if numbers is None else crop(*picture.size, numbers)
            shown = picture.convert("RGB").resize((size, size), Image.Resampling.BILINEAR, box)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataDamaged(
            f"the picture {path.name} cannot be decoded: {error}",
            where=str(path),
            fix="copy it anew, or delete it",
        ) from error
    pixels = np.asarray(shown)
    return pixels[:, ::-1] if numbers is not None and numbers[_FLIPPED] < 0.5 else pixels


def _drawn(seed: int, epoch: int, ids: Ids) -> list[list[float]]:
    """For each sample all numbers its crop may need, and the one for its flip."""
    drawn = draws.Draws(seed, epoch, ids)
    columns = [drawn.uniform(purpose) for purpose in range(_FLIPPED + 1)]
    rows: list[list[float]] = np.stack(columns, 1).tolist()
    return rows


def crop(width: int, height: int, numbers: Sequence[float]) -> Box:
    """A part of random area and shape; the middle if none of the tries fits.

    Square roots and divisions only, which all machines round alike (an exponential they do not).
    """
    for first in range(0, _FLIPPED, _NUMBERS):
        area, shape, upright, across, down = numbers[first : first + _NUMBERS]
        wanted = width * height * (_LEAST_AREA + (1 - _LEAST_AREA) * area)
        ratio = _FLATTEST + (1 - _FLATTEST) * shape
        long, short = round(math.sqrt(wanted / ratio)), round(math.sqrt(wanted * ratio))
        wide, high = (short, long) if upright < 0.5 else (long, short)
        if 0 < wide <= width and 0 < high <= height:
            left, top = int(across * (width - wide + 1)), int(down * (height - high + 1))
            return left, top, left + wide, top + high
    return middle(width, height)


def middle(width: int, height: int) -> Box:
    """The square in the middle, without a border."""
    side = max(1, round(min(width, height) * _KEPT))
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side
