"""A module as users of Lightning write it, which knows nothing of evener.

    python examples/lightning_module.py
    evener run examples/lightning_module.py --nproc 2 -- --steps 300

Lightning finds by itself that it was started as by torchrun; how many processes there are it
wants to hear.
"""

import argparse
import os
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Line(lightning.LightningModule):
    """A fixed mix of its inputs, to be found again."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1))

    def training_step(self, batch, _):
        x, y = batch
        loss = nn.functional.mse_loss(self.net(x), y)
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-2)


class Printer(Callback):
    """A line now and then, where a progress bar would show nothing."""

    def on_train_batch_end(self, trainer, module, outputs, batch, number):
        if trainer.is_global_zero and trainer.global_step % 10 == 0:
            print(f"step {trainer.global_step}: loss {outputs['loss'].item():.4f}", flush=True)


def numbers(count=2048):
    drawn = torch.Generator().manual_seed(0)
    x = torch.randn(count, 16, generator=drawn)
    return TensorDataset(x, x @ torch.randn(16, 1, generator=drawn))


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--steps", type=int, default=200)
    options.add_argument("--checkpoints", type=Path, default=Path("lightning-checkpoints"))
    given = options.parse_args()

    lightning.seed_everything(0, verbose=False)
    saves = ModelCheckpoint(given.checkpoints, every_n_train_steps=20, save_last=True)
    trainer = lightning.Trainer(
        devices=int(os.environ.get("LOCAL_WORLD_SIZE", 1)),
        num_nodes=int(os.environ.get("GROUP_WORLD_SIZE", 1)),
        strategy="ddp" if "LOCAL_WORLD_SIZE" in os.environ else "auto",
        max_steps=given.steps,
        callbacks=[saves, Printer()],
        logger=False,
        enable_progress_bar=False,
    )
    newest = given.checkpoints / "last.ckpt"
    data = DataLoader(numbers(), batch_size=32)
    trainer.fit(Line(), data, ckpt_path=newest if newest.exists() else None)


if __name__ == "__main__":
    main()
