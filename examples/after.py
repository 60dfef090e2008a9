"""The same loop with evener: `python after.py` alone, `evener run after.py` with all there is."""

import argparse

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from evener import training


class Digits(Dataset):
    """Ten patterns, and samples of them under noise."""

    def __init__(self, samples, first=0):
        patterns = torch.Generator().manual_seed(0)
        self.patterns = torch.randn(10, 1, 8, 8, generator=patterns)
        self.samples, self.first = samples, first

    def __len__(self):
        return self.samples

    def __getitem__(self, place):
        draws = torch.Generator().manual_seed(self.first + place)
        label = place % 10
        return self.patterns[label] + 1.5 * torch.randn(1, 8, 8, generator=draws), label


def build():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 64, 10)
    )


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--epochs", type=int, default=3)
    options.add_argument("--samples", type=int, default=2000)
    given = options.parse_args()

    run = training.start(seed=1)
    data, held_out = Digits(given.samples), Digits(400, first=10**6)
    model = build()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    model, optimizer = run.prepare(model, optimizer)

    def measure(batch):
        images, labels = batch
        logits = model(images)
        hits = (logits.argmax(1) == labels).sum()
        return F.cross_entropy(logits, labels, reduction="sum"), len(labels), {"accuracy": hits}

    run.evaluate(held_out, measure, metrics=("accuracy",))
    for images, labels in run.batches(data, global_batch=64, epochs=given.epochs):
        loss = F.cross_entropy(model(images), labels, reduction="sum")
        run.step(loss, len(labels))
    if run.is_lead:
        torch.save(model.state_dict(), "model.pt")


if __name__ == "__main__":
    main()
