"""Two models against each other: points on a circle, drawn from noise.

Each batch moves two optimizers, one after the other. `run.randn` draws noise that belongs to the
samples, so that the training is the same on any number of ranks.
"""

import argparse

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset

from evener import training


def circle(samples):
    angles = torch.rand(samples, generator=torch.Generator().manual_seed(0)) * 6.2832
    return TensorDataset(torch.stack([angles.cos(), angles.sin()], 1))


def network(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 32), nn.LeakyReLU(0.2), nn.Linear(32, outputs))


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--steps", type=int, default=1000)
    given = options.parse_args()

    run = training.start(seed=3)
    painter, judge = network(4, 2), network(2, 1)
    of_painter = torch.optim.Adam(painter.parameters(), lr=1e-3, betas=(0.5, 0.9))
    of_judge = torch.optim.Adam(judge.parameters(), lr=1e-3, betas=(0.5, 0.9))
    run.prepare(painter, judge, of_painter, of_judge)

    def against(points, told):
        logits = judge(points)
        return F.binary_cross_entropy_with_logits(
            logits, torch.full_like(logits, told), reduction="sum"
        )

    for (real,) in run.batches(circle(4000), global_batch=64, steps=given.steps):
        noise = run.randn(4)
        found_out = against(real, 1.0) + against(painter(noise).detach(), 0.0)
        run.step(found_out, 2 * len(real), optimizer=of_judge)
        fooled = against(painter(noise), 1.0)
        run.log(found_out=found_out.detach() / (2 * len(real)))
        run.step(fooled, len(real), optimizer=of_painter)
    with torch.no_grad():
        radius = painter(torch.randn(1000, 4, device=run.device)).norm(dim=1)
    if run.is_lead:
        print(f"radius {radius.mean():.2f}, and 1 was drawn for")


if __name__ == "__main__":
    main()
