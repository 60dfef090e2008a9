"""The user's own data: built by their function, held to its word, blamed by file and line."""

from __future__ import annotations

from collections.abc import Sized
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from evener import usercode
from evener.config.schema import UserData
from evener.data.dataset import Codec, DataSet, Ids
from evener.errors import CodeReturnedWrong
from evener.shape import Shape

if TYPE_CHECKING:
    import torch

_PROMISE = (
    "build(split, **args) returns an object with __len__, fetch(ids, epoch) or __getitem__(i), "
    "and an attribute `shape` (evener.shape.Shape)"
)


class UserSource:
    """One split of the user's data. Their `fetch` is used where they wrote one."""

    def __init__(self, reference: str, split: str, data: Any) -> None:
        self.data = data
        self._reference = reference
        self._split = split
        self._length = self._checked_length()

    def __len__(self) -> int:
        return self._length

    def fetch(self, ids: Ids, epoch: int) -> tuple[torch.Tensor, ...]:
        if hasattr(self.data, "fetch"):
            batch = usercode.call(self._reference, self.data.fetch, ids, epoch)
        else:
            rows = [usercode.call(self._reference, self.data.__getitem__, i) for i in ids.tolist()]
            batch = self._stacked(rows)
        return self._checked(batch, len(ids))

    def _stacked(self, rows: list[Any]) -> tuple[torch.Tensor, ...]:
        import torch

        for row in rows:
            if not isinstance(row, tuple) or len(row) != len(rows[0]):
                raise self._wrong(f"__getitem__ returned {_seen(row)}, not a tuple as the others")
        try:
            columns = zip(*rows, strict=True)
            return tuple(torch.stack([torch.as_tensor(v) for v in column]) for column in columns)
        except (TypeError, ValueError, RuntimeError) as error:
            raise self._wrong(f"its samples do not stack to a batch: {error}") from error

    def _checked(self, batch: Any, count: int) -> tuple[torch.Tensor, ...]:
        import torch

        if not isinstance(batch, tuple | list) or not batch:
            raise self._wrong(f"fetch returned {_seen(batch)}, not a tuple of tensors")
        try:
            parts = tuple(torch.as_tensor(part) for part in batch)
        except (TypeError, ValueError, RuntimeError) as error:
            raise self._wrong(f"fetch returned what is no tensor: {error}") from error
        for part in parts:
            if part.ndim == 0 or len(part) != count:
                raise self._wrong(
                    f"a part of a batch of {count} samples has the shape {tuple(part.shape)}"
                )
        return parts

    def _checked_length(self) -> int:
        if not isinstance(self.data, Sized):
            raise self._wrong(f"{_seen(self.data)} has no __len__")
        if not hasattr(self.data, "fetch") and not hasattr(self.data, "__getitem__"):
            raise self._wrong(f"{_seen(self.data)} has neither fetch nor __getitem__")
        return int(usercode.call(self._reference, self.data.__len__))

    def _wrong(self, what: str) -> CodeReturnedWrong:
        return CodeReturnedWrong(f"{self._split}: {what}", where=self._reference, fix=_PROMISE)


def open_user(config: UserData) -> DataSet:
    build = usercode.load_callable(config.name, [Path.cwd()])
    built = usercode.call(config.name, build, "train", **config.args)
    if built is None:
        raise CodeReturnedWrong(
            "build('train') returned None", where=usercode.source_line(build), fix=_PROMISE
        )
    train = UserSource(config.name, "train", built)
    shape = getattr(built, "shape", None)
    if not isinstance(shape, Shape):
        what = f"train: its attribute `shape` is {_seen(shape)}, not an evener.shape.Shape"
        raise CodeReturnedWrong(what, where=config.name, fix=_PROMISE)
    kept = usercode.call(config.name, build, "validation", **config.args)
    validation = None if kept is None else UserSource(config.name, "validation", kept)
    return DataSet(train, validation, shape, _codec(built))


def _codec(built: Any) -> Codec | None:
    """Data of text may bring its `codec`, so that samples of text can be written."""
    codec = getattr(built, "codec", None)
    return cast(Codec, codec) if hasattr(codec, "encode") and hasattr(codec, "decode") else None


def _seen(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
