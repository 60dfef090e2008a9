"""A loop as users of Accelerate write it, which knows nothing of evener.

python examples/accelerate_loop.py
evener run examples/accelerate_loop.py --nproc 2 -- --epochs 3
"""

import argparse
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def spirals(samples=1200):
    """Two of them, wound into each other."""
    noise = torch.Generator().manual_seed(0)
    turn = torch.rand(samples, generator=noise) * 6
    side = torch.arange(samples) % 2
    angle = turn + side * torch.pi
    points = torch.stack((turn * angle.cos(), turn * angle.sin()), 1) / 6
    return TensorDataset(points, side)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--epochs", type=int, default=10)
    options.add_argument("--checkpoints", type=Path, default=Path("accelerate-checkpoint"))
    given = options.parse_args()

    # Without a GPU it has to be told: else each process trains alone, under torchrun as well.
    accelerator = Accelerator(cpu=not torch.cuda.is_available())
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())
    model.append(nn.Linear(64, 2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    loader = DataLoader(spirals(), batch_size=32, shuffle=True)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    epoch = torch.zeros(1, dtype=torch.long)
    accelerator.register_for_checkpointing(Counter(epoch))
    if given.checkpoints.exists():
        accelerator.load_state(str(given.checkpoints))
        accelerator.print(f"goes on after epoch {epoch.item()}")
    step = epoch.item() * len(loader)
    while epoch < given.epochs:
        for points, side in loader:
            loss = nn.functional.cross_entropy(model(points), side)
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            if step % 5 == 0:
                accelerator.print(f"step {step}: loss {loss.item():.4f}", flush=True)
        epoch += 1
        accelerator.save_state(str(given.checkpoints))
    accelerator.end_training()


class Counter:
    """The epochs that are done, kept with the rest."""

    def __init__(self, done):
        self.done = done

    def state_dict(self):
        return {"done": self.done}

    def load_state_dict(self, state):
        self.done.copy_(state["done"])


if __name__ == "__main__":
    main()
