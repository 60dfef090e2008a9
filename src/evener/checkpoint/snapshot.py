"""The state of training at one step: named tensors and plain JSON. Never a pickle.

The same thing rests in a checkpoint and travels to a rank that lost its own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from evener.checkpoint import stream
from evener.checkpoint.stream import Packed

MODEL, OPTIMIZER = "model.", "optimizer."


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`meta` is JSON: counters, cursor, balance."""

    step: int
    tensors: dict[str, Tensor]
    meta: dict[str, Any]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors under `prefix`, named without it."""
        n = len(prefix)
        return {k[n:]: v for k, v in self.tensors.items() if k.startswith(prefix)}


def pack(snapshot: Snapshot) -> Packed:
    """One message: safetensors, with the JSON in its header."""
    about = {"step": str(snapshot.step), "meta": json.dumps(snapshot.meta)}
    return stream.pack(snapshot.tensors, about)


def unpack(data: Tensor) -> Snapshot:
    """Its tensors are views of `data`."""
    tensors, about = stream.unpack(data)
    return Snapshot(int(about["step"]), tensors, json.loads(about["meta"]))
