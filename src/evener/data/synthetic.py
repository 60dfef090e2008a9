"""Data without files: drawn from the seed and a sample's number, so all machines have it alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evener.config.schema import Job, SyntheticImage, SyntheticRegression
from evener.data import draws, images
from evener.data.dataset import DataSet, Ids
from evener.shape import Shape

if TYPE_CHECKING:
    import torch

_WEIGHTS, _PATTERNS, _TRAIN, _VALIDATION = range(4)  # what the seed is used for
_NOISE, _LABEL = range(2)  # what is drawn for a sample
_COARSE = 4  # a class is a pattern of so many patches on a side


@dataclass(frozen=True)
class Regression:
    """y = w x + noise. No BLAS: its order of additions, and so the last bit, is the machine's."""

    config: SyntheticRegression
    samples: int
    seed: int
    split: int

    def __len__(self) -> int:
        return self.samples

    def fetch(self, ids: Ids, epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        features = self.config.features
        cells = ids[:, None] * features + np.arange(features)
        inputs = draws.bell(draws.words(draws.key(self.seed, self.split), cells))
        noise = draws.bell(draws.words(draws.key(self.seed, self.split, _NOISE), ids))
        weights = draws.bell(draws.words(draws.key(self.seed, _WEIGHTS), np.arange(features)))
        exact = np.cumsum(inputs * weights, axis=1)[:, -1]  # adds one after another
        targets = (exact + self.config.noise * noise)[:, None]
        return (
            torch.from_numpy(inputs.astype(np.float32)),
            torch.from_numpy(targets.astype(np.float32)),
        )


@dataclass(frozen=True)
class Pictures:
    """A class is a pattern of coarse patches; a sample is its class's pattern under noise."""

    config: SyntheticImage
    samples: int
    seed: int
    split: int
    patterns: images.Pixels
    scale: images.Scale

    def __len__(self) -> int:
        return self.samples

    def fetch(self, ids: Ids, epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        labels = self._labels(ids)
        return self.scale.apply(self._pixels(ids, labels)), torch.from_numpy(labels)

    def _labels(self, ids: Ids) -> images.Labels:
        raw = draws.words(draws.key(self.seed, self.split, _LABEL), ids)
        return (raw % np.uint64(self.config.classes)).astype(np.int64)

    def _pixels(self, ids: Ids, labels: images.Labels) -> images.Pixels:
        """Three parts noise (eight pixels from one word), one part pattern."""
        shape = self.patterns.shape[1:]
        pixels = int(np.prod(shape))
        per_image = -(-pixels // 8)
        cells = ids[:, None] * per_image + np.arange(per_image)
        words = draws.words(draws.key(self.seed, self.split, _NOISE), cells)
        noise = words.astype("<u8").view(np.uint8)[:, :pixels].reshape(-1, *shape)
        return (noise >> 2) * np.uint8(3) + (self.patterns[labels] >> 2)


def open_regression(config: SyntheticRegression, job: Job) -> DataSet:
    seed = job.train.seed
    train = Regression(config, config.samples, seed, _TRAIN)
    validation = Regression(config, config.validation_samples, seed, _VALIDATION)
    return DataSet(train, validation, Shape("features", (config.features,), 1))


def open_pictures(config: SyntheticImage, job: Job) -> DataSet:
    seed = job.train.seed
    scale = images.Scale((0.5,) * config.channels, (0.25,) * config.channels)
    patterns = _patterns(config, seed)
    train = Pictures(config, config.samples, seed, _TRAIN, patterns, scale)
    validation = Pictures(config, config.validation_samples, seed, _VALIDATION, patterns, scale)
    shape = Shape("image", (config.channels, config.size, config.size), config.classes)
    return DataSet(train, validation, shape)


def _patterns(config: SyntheticImage, seed: int) -> images.Pixels:
    coarse = (config.classes, config.channels, _COARSE, _COARSE)
    raw = draws.words(draws.key(seed, _PATTERNS), np.arange(int(np.prod(coarse))))
    patches = (raw >> np.uint64(56)).astype(np.uint8).reshape(coarse)
    place = np.arange(config.size) * _COARSE // config.size
    return np.ascontiguousarray(patches[:, :, place][:, :, :, place])
