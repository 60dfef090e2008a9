"""A model of Hugging Face, from random weights, in a loop with evener.

    python examples/huggingface.py
    evener run examples/huggingface.py --workers 3

Its own loss is a mean over tokens, so it is given back its count.
"""

import argparse

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from evener import training

WORDS, LENGTH = 29, 24


def counting(samples):
    """Rows that count on in steps of their own: what comes next can be learned."""
    first, by = torch.arange(samples) % WORDS, 1 + torch.arange(samples) % 5
    rows = (first[:, None] + by[:, None] * torch.arange(LENGTH)) % WORDS
    return [{"input_ids": row} for row in rows]


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--steps", type=int, default=300)
    given = options.parse_args()

    run = training.start(seed=1)
    shape = GPT2Config(
        vocab_size=WORDS, n_positions=LENGTH, n_embd=32, n_layer=2, n_head=2,
        bos_token_id=0, eos_token_id=0, embd_pdrop=0.0, attn_pdrop=0.0, resid_pdrop=0.0,
    )  # fmt: skip
    model = GPT2LMHeadModel(shape)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    model, optimizer = run.prepare(model, optimizer, clip_norm=1.0)
    for batch in run.batches(counting(960), global_batch=32, steps=given.steps):
        tokens = batch["input_ids"]
        count = tokens[:, 1:].numel()  # of the first one nothing is foretold
        run.step(model(input_ids=tokens, labels=tokens).loss * count, count)
    if run.is_lead:
        model.save_pretrained("counting")
        print("the model is in counting/")


if __name__ == "__main__":
    main()
