"""The bigram: a table of logits for the next token, one row per token. The smallest that writes."""

from __future__ import annotations

from torch import Tensor, nn

from evener.config.models import Bigram
from evener.shape import Shape


class BigramModel(nn.Module):
    """Token in, logits of its successor out; what came before is not seen."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary, vocabulary)

    def forward(self, idx: Tensor) -> Tensor:
        logits: Tensor = self.table(idx)
        return logits


def build(config: Bigram, shape: Shape) -> nn.Module:
    return BigramModel(shape.outputs)
