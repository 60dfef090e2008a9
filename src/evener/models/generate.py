"""Text out of a token model: one token after another, each drawn from what the model expects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@torch.no_grad()
def generate(
    model: nn.Module,
    ids: Sequence[int],
    tokens: int,
    temperature: float,
    top_k: int | None,
    generator: torch.Generator,
    block_size: int,
) -> list[int]:
    """The `tokens` ids that follow `ids` (token 0 where it is empty).

    Only the last `block_size` ids are shown to the model. Drawn where `generator` lives: with a
    CPU generator a GPU writes what a CPU writes, to rounding. The model's modes are kept.
    """
    device = next(model.parameters()).device
    context = list(ids) or [0]
    start = len(context)
    with _evaluating(model):
        for _ in range(tokens):
            seen = torch.tensor([context[-block_size:]], device=device)
            logits = model(seen)[0, -1].to(generator.device, torch.float32)
            context.append(_draw(logits / temperature, top_k, generator))
    return context[start:]


def _draw(logits: Tensor, top_k: int | None, generator: torch.Generator) -> int:
    logits = torch.nan_to_num(logits)  # a diverged model writes nonsense; it does not end the run
    if top_k is not None and top_k < len(logits):
        least = torch.topk(logits, top_k).values[-1]
        logits = logits.masked_fill(logits < least, -torch.inf)
    return int(torch.multinomial(torch.softmax(logits, -1), 1, generator=generator))


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, and then every module's own mode again (some may be frozen)."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
