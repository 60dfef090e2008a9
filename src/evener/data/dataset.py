"""What every family of data opens, and the words it does so with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from evener.shape import Shape

if TYPE_CHECKING:
    import torch

Ids = npt.NDArray[np.int64]
# What is being done, how many bytes of it are done, and of how many; 0 if unknown.
Report = Callable[[str, int, int], None]


class Source(Protocol):
    """Samples by their numbers. Opening one imports no torch; fetching does."""

    def __len__(self) -> int: ...

    def fetch(self, ids: Ids, epoch: int) -> tuple[torch.Tensor, ...]:
        """(inputs, targets) of the samples, whatever others are fetched with them or before."""


class Codec(Protocol):
    """How text becomes tokens and tokens text."""

    def encode(self, text: str) -> list[int]: ...

    def decode(self, tokens: list[int]) -> str: ...


@dataclass(frozen=True, slots=True)
class Sources:
    """What is learned from, and what it is measured on."""

    train: Source
    validation: Source | None


@dataclass(frozen=True, slots=True)
class DataSet(Sources):
    """An opened data set. `codec` only where there is text to read and write."""

    shape: Shape
    codec: Codec | None = None


def silent(text: str, done: int, total: int) -> None:
    """The report of whoever does not want one."""
