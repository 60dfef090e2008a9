"""The bigram is a table: one row of logits per token."""

from __future__ import annotations

import torch

from evener.config.models import Bigram
from evener.models import build_model
from evener.shape import Shape


def test_a_token_is_answered_by_its_row_wherever_it_stands() -> None:
    model = build_model(Bigram(), Shape("tokens", (8,), 5))
    (table,) = model.parameters()
    assert table.shape == (5, 5)
    idx = torch.tensor([[0, 3, 3], [4, 0, 1]])
    assert torch.equal(model(idx), table[idx])
