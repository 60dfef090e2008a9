"""A rank under torchrun that says when each step was done: `nodes.py` is one of several nodes.

It restarts from its first step whenever torchrun starts it again: a checkpoint would only add to
what is measured.
"""

from __future__ import annotations

import json
import os
import time

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel


def main() -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    layers = (nn.Flatten(), nn.Linear(3072, 256), nn.ReLU(), nn.Linear(256, 10))
    model = DistributedDataParallel(nn.Sequential(*layers).double())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    inputs, labels = torch.randn(64, 3, 32, 32).double(), torch.randint(10, (64,))
    while True:
        nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        said = {"time": time.time(), "ranks": dist.get_world_size(), "pid": os.getpid()}
        print(json.dumps(said), flush=True)
        time.sleep(0.01)


if __name__ == "__main__":
    main()
