"""A GPT of nanoGPT's design: learned positions, pre-norm blocks, one matrix for tokens and logits.

The matrix is one parameter used twice, not two that are tied: a state dict holds it once.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from evener.config.models import Gpt
from evener.errors import BadCombination
from evener.shape import Shape

_INIT_STD = 0.02


class Attention(nn.Module):
    """Causal self-attention: a token sees itself and what came before."""

    def __init__(self, config: Gpt) -> None:
        super().__init__()
        self.heads = config.n_head
        self.dropout = config.dropout
        self.queries_keys_values = nn.Linear(config.n_embd, 3 * config.n_embd, bias=config.bias)
        self.project = nn.Linear(config.n_embd, config.n_embd, bias=config.bias)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        batch, time, width = x.shape
        split = self.queries_keys_values(x).view(batch, time, 3, self.heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, dropout_p=self.dropout if self.training else 0.0
        )
        joined = seen.transpose(1, 2).reshape(batch, time, width)
        out: Tensor = self.drop(self.project(joined))
        return out


class Block(nn.Module):
    """Attention, then a perceptron four times as wide; each normed before and added after."""

    def __init__(self, config: Gpt) -> None:
        super().__init__()
        width, bias = config.n_embd, config.bias
        self.norm1 = nn.LayerNorm(width, bias=bias)
        self.attention = Attention(config)
        self.norm2 = nn.LayerNorm(width, bias=bias)
        self.expand = nn.Linear(width, 4 * width, bias=bias)
        self.project = nn.Linear(4 * width, width, bias=bias)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        wide = functional.gelu(self.expand(self.norm2(x)))
        out: Tensor = x + self.drop(self.project(wide))
        return out


class GptModel(nn.Module):
    """Token ids (batch, time) in, logits (batch, time, vocabulary) of each next token out."""

    def __init__(self, config: Gpt, vocabulary: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, config.n_embd)
        self.positions = nn.Embedding(config.block_size, config.n_embd)
        self.drop = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.norm = nn.LayerNorm(config.n_embd, bias=config.bias)
        self._initialise(config.n_layer)

    def forward(self, idx: Tensor) -> Tensor:
        places = torch.arange(idx.shape[1], device=idx.device)
        x = self.drop(self.tokens(idx) + self.positions(places))
        for block in self.blocks:
            x = block(x)
        return functional.linear(self.norm(x), self.tokens.weight)

    def _initialise(self, layers: int) -> None:
        """GPT-2's: the 2 * layers additions to the residual stream keep its variance at one."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                std = _INIT_STD
                if name.endswith("project"):
                    std /= math.sqrt(2 * layers)
                nn.init.normal_(module.weight, std=std)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)


def build(config: Gpt, shape: Shape) -> nn.Module:
    (block,) = shape.input
    if block > config.block_size:
        raise BadCombination(
            f"the data gives {block} tokens a sample; the model's context holds "
            f"{config.block_size}",
            where="model.block_size",
            fix=f"set model.block_size to {block} or more",
        )
    return GptModel(config, shape.outputs)
