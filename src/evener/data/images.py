"""Small images that fit in memory: kept as bytes, fetched as normalised numbers, cropped, flipped.

Every family of them opens to the same thing: one file of pixels and one of labels in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from evener.data import cache, draws
from evener.data.dataset import Ids
from evener.data.mapped import Mapped, save
from evener.errors import LabelOutOfRange

if TYPE_CHECKING:
    import torch

Pixels = npt.NDArray[np.uint8]  # (samples, channels, height, width)
Labels = npt.NDArray[np.int64]
_ACROSS, _DOWN, _FLIPPED = range(3)  # what is drawn for a sample


@dataclass(frozen=True, slots=True)
class Scale:
    """The mean and standard deviation of each channel over a training set, of pixels 0 to 1."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def apply(self, pixels: Pixels) -> torch.Tensor:
        """(pixels / 255 - mean) / deviation, in 32 bits."""
        import torch

        deviation = torch.tensor(self.deviation, dtype=torch.float64).reshape(1, -1, 1, 1)
        mean = torch.tensor(self.mean, dtype=torch.float64).reshape(1, -1, 1, 1)
        numbers = torch.from_numpy(pixels).to(torch.float32)
        return numbers.mul_((1 / (255 * deviation)).float()).sub_((mean / deviation).float())


@dataclass(frozen=True, slots=True)
class Crop:
    """Shift each image by up to `margin` pixels, black coming in, and flip half of them."""

    margin: int
    flip: bool
    seed: int

    def apply(self, pixels: Pixels, ids: Ids, epoch: int) -> Pixels:
        drawn = draws.Draws(self.seed, epoch, ids)
        down = drawn.integers(_DOWN, 2 * self.margin + 1)
        across = drawn.integers(_ACROSS, 2 * self.margin + 1)
        edge = (self.margin, self.margin)
        wide = np.pad(pixels, ((0, 0), (0, 0), edge, edge))
        windows = np.lib.stride_tricks.sliding_window_view(wide, pixels.shape[2:], (2, 3))
        out = np.ascontiguousarray(windows[np.arange(len(ids)), :, down, across])
        if self.flip:
            flipped = drawn.integers(_FLIPPED, 2) == 1
            out[flipped] = out[flipped, ..., ::-1]
        return out


@dataclass(frozen=True)
class StoredImages:
    """A source over the two files of one split."""

    pixels: Mapped
    labels: Mapped
    scale: Scale
    crop: Crop | None = None

    def __len__(self) -> int:
        return len(self.labels.array)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image: channels, height, width."""
        return tuple(self.pixels.array.shape[1:])

    def fetch(self, ids: Ids, epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        pixels: Pixels = self.pixels.array[ids]
        if self.crop is not None:
            pixels = self.crop.apply(pixels, ids, epoch)
        return self.scale.apply(pixels), torch.from_numpy(self.labels.array[ids])


def stored(
    identity: tuple[str, ...], read: Callable[[], tuple[Pixels, Labels]]
) -> tuple[Mapped, Mapped]:
    """The pixels and labels that `read` reads, unpacked into the cache the first time."""

    def fill(folder: Path) -> None:
        pixels, labels = read()
        save(folder / "pixels.npy", pixels)
        save(folder / "labels.npy", labels)

    folder = cache.entry("images", identity, fill)
    return Mapped(folder / "pixels.npy"), Mapped(folder / "labels.npy")


def check_labels(labels: Labels, classes: int, where: Path) -> None:
    """Every label is below `classes`; `where` is named if one is not."""
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        first = int(wrong[0])
        raise LabelOutOfRange(
            f"{wrong.size} of {len(labels)} labels are not 0 to {classes - 1}; the first is "
            f"{int(labels[first])}, of sample {first}",
            where=str(where),
            fix="check that data.name is the set that these files belong to",
        )
