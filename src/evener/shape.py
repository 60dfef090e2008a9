"""What one sample looks like: the one fact that data tells models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Shape:
    """`input` is one sample's shape without the batch; `outputs` how many numbers answer it.

    features: input (n,), outputs = targets. image: input (channels, height, width), outputs =
    classes. tokens: input (block,), outputs = size of the vocabulary.
    """

    kind: Literal["features", "image", "tokens"]
    input: tuple[int, ...]
    outputs: int
