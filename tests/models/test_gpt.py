"""The GPT: its size, its first loss, who sees whom, and the matrix that is used twice."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from evener.config.models import Bigram, Gpt
from evener.models import build_model
from evener.shape import Shape


def build(vocabulary: int = 65, **values: Any) -> torch.nn.Module:
    config = Gpt(**({"block_size": 16, "n_layer": 2, "n_head": 2, "n_embd": 32} | values))
    return build_model(config, Shape("tokens", (config.block_size,), vocabulary))


@settings(max_examples=20)
@given(
    vocabulary=st.integers(2, 50),
    block=st.integers(1, 20),
    layers=st.integers(1, 3),
    heads=st.integers(1, 3),
    size=st.integers(1, 4),
    bias=st.booleans(),
)
def test_the_number_of_parameters_follows_the_formula(
    vocabulary: int, block: int, layers: int, heads: int, size: int, bias: bool
) -> None:
    width = heads * size
    model = build(
        vocabulary, block_size=block, n_layer=layers, n_head=heads, n_embd=width, bias=bias
    )
    per_block = 12 * width**2 + 2 * width + bias * (9 * width + 2 * width)
    expected = (vocabulary + block) * width + layers * per_block + width + bias * width
    assert sum(p.numel() for p in model.parameters()) == expected


def test_the_default_is_the_published_size() -> None:
    """nanoGPT's README: 0.80M parameters for this configuration of 65 characters."""
    model = build_model(Gpt(), Shape("tokens", (64,), 65))
    assert sum(p.numel() for p in model.parameters()) == 804_096


@pytest.mark.parametrize("vocabulary", [10, 65, 500])
def test_the_first_loss_is_that_of_knowing_nothing(vocabulary: int) -> None:
    torch.manual_seed(0)
    model = build(vocabulary)
    idx = torch.randint(vocabulary, (8, 17))
    loss = functional.cross_entropy(model(idx[:, :-1]).flatten(0, 1), idx[:, 1:].flatten())
    assert loss.item() == pytest.approx(math.log(vocabulary), abs=0.1)


def test_a_token_sees_itself_and_the_past_only() -> None:
    torch.manual_seed(0)
    model = build().double().eval()
    idx = torch.randint(64, (1, 16))
    changed = idx.clone()
    changed[0, 9] = 64
    before, after = model(idx), model(changed)
    assert torch.allclose(before[:, :9], after[:, :9], rtol=0, atol=1e-12)
    for place in range(9, 16):
        assert not torch.allclose(before[:, place], after[:, place], rtol=0, atol=1e-9)


def test_a_sample_does_not_see_its_neighbours() -> None:
    torch.manual_seed(0)
    model = build().double().eval()
    idx = torch.randint(65, (4, 16))
    assert torch.allclose(model(idx)[2:3], model(idx[2:3]), rtol=0, atol=1e-12)


def test_places_are_told_apart() -> None:
    torch.manual_seed(0)
    model = build().double().eval()
    logits = model(torch.full((1, 16), 7))
    assert not torch.allclose(logits[0, 3], logits[0, 4], atol=1e-6)


def test_tokens_and_logits_share_one_matrix() -> None:
    model = build()
    shapes = [tuple(t.shape) for t in model.state_dict().values()]
    assert shapes.count((65, 32)) == 1  # once in a checkpoint, once for the optimizer
    with torch.no_grad():
        model.get_parameter("tokens.weight")[5] *= 100
    idx = torch.zeros(1, 4, dtype=torch.long)  # token 5 is not read, yet its logit changed
    logits = model(idx).abs().mean((0, 1))
    assert logits[5] > 5 * logits.sum() / 65


def test_residual_projections_begin_smaller() -> None:
    torch.manual_seed(0)
    model = build(n_layer=8, n_embd=64)
    stds = {n: p.std().item() for n, p in model.named_parameters() if p.dim() == 2}
    scaled = [s for n, s in stds.items() if n.endswith("project.weight")]
    assert len(scaled) == 16
    assert scaled == pytest.approx([0.02 / math.sqrt(16)] * 16, rel=0.1)
    others = [s for n, s in stds.items() if not n.endswith("project.weight")]
    assert others == pytest.approx([0.02] * len(others), rel=0.1)


def fitted_loss(model: torch.nn.Module, idx: torch.Tensor) -> float:
    """The loss after a few steps of plain gradient descent, from the second token on."""
    parameters = list(model.parameters())
    for _ in range(150):
        logits = model(idx[:, :-1])[:, 1:]
        loss = functional.cross_entropy(logits.flatten(0, 1), idx[:, 2:].flatten())
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.sub_(gradient, alpha=0.1)
    return loss.item()


def test_it_learns_what_a_bigram_cannot() -> None:
    """The next token depends on the last but one; where it stands says nothing."""
    torch.manual_seed(0)
    period = torch.tensor([0, 0, 1, 1, 0, 0, 1, 1])
    idx = torch.stack([period[start : start + 5] for start in range(4)])
    bigram = build_model(Bigram(block_size=4), Shape("tokens", (4,), 2))
    assert fitted_loss(bigram, idx) > 0.6  # ln 2: every answer is a coin's
    assert fitted_loss(build(2, block_size=4), idx) < 0.1
