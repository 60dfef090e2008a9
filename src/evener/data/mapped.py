"""An array that stays in its file: opened in no time, its memory shared by all who read it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evener.errors import DataDamaged


@dataclass(frozen=True)
class Mapped:
    """An .npy file of the cache, or with `dtype` a file of nothing but numbers of that type.

    It travels to loader processes by its name, never by its content.
    """

    path: Path
    dtype: str = ""

    @cached_property
    def array(self) -> npt.NDArray[Any]:
        try:
            if self.dtype:
                found: npt.NDArray[Any] = np.memmap(self.path, self.dtype, "r")
            else:
                found = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise DataDamaged(
                f"{self.path.name} in the cache cannot be read: {error}",
                where=str(self.path),
                fix=f"delete the folder {self.path.parent}; it is made anew",
            ) from error
        return found.view(np.ndarray)  # without memmap's own costly indexing

    def __reduce__(self) -> tuple[type[Mapped], tuple[Path, str]]:
        return Mapped, (self.path, self.dtype)


def save(path: Path, array: npt.NDArray[Any]) -> None:
    """Like np.save, whose error for a full disk does not say that the disk is full."""
    solid = np.ascontiguousarray(array)
    with path.open("wb") as file:
        header = np.lib.format.header_data_from_array_1_0(solid)
        np.lib.format.write_array_header_1_0(file, header)
        file.write(solid.data)
