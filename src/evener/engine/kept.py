"""What a script keeps besides its model: schedulers, averages, counters. Part of the state, it
rests in checkpoints and travels to whoever lost it, as tensors and plain JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from evener.checkpoint.snapshot import Snapshot
from evener.errors import CodeReturnedWrong

KEPT = "kept"  # in a snapshot's meta, and before its tensors' names
_PLAIN = (str, int, float, bool, type(None))


@runtime_checkable
class Stateful(Protocol):
    """What torch's modules, optimizers and schedulers have."""

    def state_dict(self) -> Any: ...

    def load_state_dict(self, state: Any, /) -> Any: ...


@dataclass(slots=True)
class Kept:
    """By the names they were given."""

    things: dict[str, Stateful] = field(default_factory=dict)

    def packed(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The tensors themselves, and all the rest as JSON."""
        tensors: dict[str, Tensor] = {}
        values = {
            name: _pack(thing.state_dict(), f"{KEPT}.{name}", tensors)
            for name, thing in self.things.items()
        }
        return tensors, values

    def restore(self, snapshot: Snapshot) -> None:
        """A thing that the snapshot does not know stays as it is: the script is a newer one."""
        values = snapshot.meta.get(KEPT, {})
        for name, thing in self.things.items():
            if name in values:
                thing.load_state_dict(_unpack(values[name], snapshot.tensors))


def _pack(value: Any, place: str, tensors: dict[str, Tensor]) -> Any:
    """JSON has neither tuples nor keys of numbers: every container says what it is."""
    if isinstance(value, Tensor):
        tensors[place] = value.detach()
        return {"tensor": place}
    if isinstance(value, Mapping):
        pairs = [[k, _pack(v, f"{place}.{k}", tensors)] for k, v in value.items()]
        if all(isinstance(k, _PLAIN) for k, _ in pairs):
            return {"table": pairs}
    if isinstance(value, tuple | list):
        items = [_pack(v, f"{place}.{i}", tensors) for i, v in enumerate(value)]
        return {"tuple" if isinstance(value, tuple) else "list": items}
    if isinstance(value, _PLAIN):
        return {"value": value}
    raise CodeReturnedWrong(
        f"the state of {place.removeprefix(KEPT + '.')} is a {type(value).__name__}",
        where=place,
        fix="let its state_dict hold tensors, numbers, text, lists and tables of them",
    )


def _unpack(record: dict[str, Any], tensors: Mapping[str, Tensor]) -> Any:
    ((kind, held),) = record.items()
    match kind:
        case "tensor":
            return tensors[held].clone()
        case "table":
            return {key: _unpack(value, tensors) for key, value in held}
        case "tuple":
            return tuple(_unpack(value, tensors) for value in held)
        case "list":
            return [_unpack(value, tensors) for value in held]
    return held
