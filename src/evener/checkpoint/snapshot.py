"""The state of training at one step: named tensors and plain JSON. Never a pickle.

The same thing rests in a checkpoint and travels to a rank that lost its own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors

MODEL, OPTIMIZER = "model.", "optimizer."


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`tensors` are on the CPU and nobody else's; `meta` is JSON: counters, cursor, balance."""

    step: int
    tensors: dict[str, torch.Tensor]
    meta: dict[str, Any]

    def part(self, prefix: str) -> dict[str, torch.Tensor]:
        """The tensors under `prefix`, named without it."""
        n = len(prefix)
        return {k[n:]: v for k, v in self.tensors.items() if k.startswith(prefix)}


def to_bytes(snapshot: Snapshot) -> bytes:
    """One message: safetensors, with the JSON in its header."""
    head = {"step": str(snapshot.step), "meta": json.dumps(snapshot.meta)}
    return save_safetensors(snapshot.tensors, head)


def from_bytes(data: bytes) -> Snapshot:
    length = int.from_bytes(data[:8], "little")
    head = json.loads(data[8 : 8 + length])["__metadata__"]
    return Snapshot(int(head["step"]), load_safetensors(data), json.loads(head["meta"]))
