"""Generation: drawn by the generator alone, within the context, and the model stays as it was."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from evener.config.models import Gpt
from evener.models import build_model
from evener.models.generate import generate
from evener.shape import Shape


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Counting(nn.Module):
    """Expects the successor of the last token; remembers how much it was shown."""

    def __init__(self, vocabulary: int = 10, certainty: float = 50.0) -> None:
        super().__init__()
        self.certainty = nn.Parameter(torch.tensor(certainty))
        self.vocabulary = vocabulary
        self.frozen = nn.Dropout(0.5).eval()
        self.shown: list[int] = []
        self.modes: list[bool] = []

    def forward(self, idx: Tensor) -> Tensor:
        self.shown.append(idx.shape[1])
        self.modes.append(self.training)
        successor = nn.functional.one_hot((idx + 1) % self.vocabulary, self.vocabulary)
        return successor * self.certainty


def tiny_gpt() -> nn.Module:
    torch.manual_seed(0)
    config = Gpt(block_size=8, n_layer=1, n_head=2, n_embd=16, dropout=0.5)
    return build_model(config, Shape("tokens", (8,), 20))


def test_the_new_tokens_follow_the_prompt() -> None:
    assert generate(Counting(), [3, 7], 5, 1.0, None, generator(), 8) == [8, 9, 0, 1, 2]


def test_only_the_last_block_is_shown() -> None:
    model = Counting()
    generate(model, [1] * 6, 4, 1.0, None, generator(), 8)
    assert model.shown == [6, 7, 8, 8]


def test_nothing_to_begin_with_is_token_zero() -> None:
    assert generate(Counting(), [], 2, 1.0, None, generator(), 8) == [1, 2]


def test_the_generator_decides_and_the_global_one_is_left_alone() -> None:
    model = tiny_gpt()
    state = torch.get_rng_state()
    first = generate(model, [1], 30, 1.0, None, generator(5), 8)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    assert generate(model, [1], 30, 1.0, None, generator(5), 8) == first
    assert generate(model, [1], 30, 1.0, None, generator(6), 8) != first
    assert all(0 <= token < 20 for token in first)


def test_low_temperature_and_top_k_take_the_likeliest() -> None:
    unsure = Counting(certainty=1.0)
    counted = [(i + 1) % 10 for i in range(40)]
    assert generate(unsure, [0], 40, 1.0, None, generator(), 8) != counted
    assert generate(unsure, [0], 40, 0.01, None, generator(), 8) == counted
    assert generate(unsure, [0], 40, 1.0, 1, generator(), 8) == counted
    assert generate(unsure, [0], 40, 0.01, 999, generator(), 8) == counted


@pytest.mark.parametrize("training", [True, False])
def test_the_model_evaluates_meanwhile_and_gets_every_mode_back(training: bool) -> None:
    model = Counting().train(training)
    model.frozen.eval()
    generate(model, [1], 2, 1.0, None, generator(), 8)
    assert model.modes == [False, False]
    assert model.training is training
    assert not model.frozen.training
    assert model.certainty.requires_grad
    assert model.certainty.grad is None


def test_the_modes_come_back_from_a_model_that_fails() -> None:
    model = tiny_gpt().train()
    with pytest.raises(IndexError):
        generate(model, [99], 1, 1.0, None, generator(), 8)
    assert all(module.training for module in model.modules())


def test_a_diverged_model_writes_nonsense_but_writes() -> None:
    model = Counting(certainty=float("nan"))
    assert len(generate(model, [1], 5, 1.0, 3, generator(), 8)) == 5
