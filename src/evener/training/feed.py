"""The user's data set as the engine reads it: samples by their numbers, collated as they wish."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sized
from typing import Any

from torch.utils.data import DataLoader, IterableDataset, default_collate

from evener import usercode
from evener.config.schema import Train
from evener.data.dataset import Ids
from evener.errors import CheckpointMismatch, CodeReturnedWrong
from evener.training.parts import wrong

Collate = Callable[[list[Any]], Any]


class Samples:
    """A map-style data set: it has a length, and gives a sample for a number."""

    def __init__(self, dataset: Any, collate: Collate | None) -> None:
        self._dataset, self._collate = dataset, collate
        self._name = type(dataset).__name__

    def __len__(self) -> int:
        return len(self._dataset)

    def fetch(self, ids: Ids, epoch: int) -> Any:
        numbers = ids.tolist()
        at_once = getattr(self._dataset, "__getitems__", None)
        samples = list(usercode.call(self._name, at_once or self._each, numbers))
        return collated(samples, self._collate, self._name)

    def _each(self, numbers: list[int]) -> list[Any]:
        return [self._dataset[number] for number in numbers]


def collated(samples: list[Any], collate: Collate | None, name: str) -> Any:
    """One batch of them, as the script or else torch makes it."""
    if collate is not None:
        return usercode.call("collate", collate, samples)
    try:
        return default_collate(samples)
    except (TypeError, RuntimeError) as error:
        raise CodeReturnedWrong(
            f"samples of {name} make no batch: {str(error).splitlines()[0]}",
            where=name,
            fix="return tensors, arrays, numbers, or tuples and dicts of them, all of one "
            "shape; or give run.batches(..., collate=your_function)",
        ) from error


def is_stream(dataset: Any) -> bool:
    """Whether it can only be read from its beginning on."""
    if isinstance(dataset, IterableDataset):
        return True
    mapped = isinstance(dataset, Sized) and hasattr(dataset, "__getitem__")
    return isinstance(dataset, Iterable) and not mapped and not isinstance(dataset, DataLoader)


def samples_of(dataset: Any, collate: Collate | None, what: str) -> Samples:
    """Raises what is wrong with it, at the user's line."""
    if not isinstance(dataset, Sized) or not hasattr(dataset, "__getitem__"):
        raise wrong(
            f"{what} was given a {type(dataset).__name__}, which has no __len__ and __getitem__",
            "give it a data set, not a loader: evener draws, shuffles and collates itself",
        )
    if not len(dataset):
        raise wrong(f"{what} was given a {type(dataset).__name__} without samples", "add some")
    return Samples(dataset, collate)


class Terms:
    """What the order of samples stands on, as a part of the state: who resumes or joins with other
    data, or other numbers in the script, would take other samples than were meant. No samples: of
    a stream nobody knows how many there are."""

    def __init__(self, samples: int, train: Train, where: str) -> None:
        self._own = {"global_batch": train.global_batch, "seed": train.seed}
        if samples:
            self._own["samples of the data set"] = samples
        self._where = where

    def state_dict(self) -> dict[str, int]:
        return self._own

    def load_state_dict(self, state: dict[str, int]) -> None:
        for name, own in self._own.items():
            if (other := state.get(name, own)) != own:
                raise CheckpointMismatch(
                    f"{name}: {own} here, and {other} where this training began",
                    where=self._where,
                    fix="give every machine, and a resumed run, the same; or begin a new run",
                )
