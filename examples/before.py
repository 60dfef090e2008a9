"""A loop as PyTorch's users write it: digits of 8 x 8 pixels that it draws itself."""

import argparse

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset


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

    torch.manual_seed(1)
    data, held_out = Digits(given.samples), Digits(400, first=10**6)
    model = build()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    loader = DataLoader(data, batch_size=64, shuffle=True)
    for epoch in range(given.epochs):
        for images, labels in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
        model.eval()
        hits = 0
        with torch.no_grad():
            for images, labels in DataLoader(held_out, batch_size=64):
                hits += (model(images).argmax(1) == labels).sum().item()
        model.train()
        print(f"epoch {epoch + 1}: {hits / len(held_out):.1%} right")
    torch.save(model.state_dict(), "model.pt")


if __name__ == "__main__":
    main()
