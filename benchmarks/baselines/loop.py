"""The loop a person would write, alone or under torchrun with DDP: what evener is compared with.

    python loop.py CASE --steps N [--batch B]            one process
    torchrun ... loop.py CASE --steps N [--batch B]      DDP over gloo, equal shares

Rank 0 prints one JSON object: when the first step was done (wall clock), and the seconds from the
end of each step to the end of the next.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import time

import cases
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel


def train(case: cases.Case, steps: int, ranks: int, batch: int) -> list[float]:
    """When each step was done, by the wall clock."""
    model: nn.Module = case.model()
    if ranks > 1:
        model = DistributedDataParallel(model)
    optimizer = case.optimizer(model)
    ended = []
    for _ in range(steps):
        inputs, targets = case.draw(batch // ranks)
        loss = cases.loss_of(model(inputs), targets)
        loss.backward()
        if case.clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), case.clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()  # evener reports every step's loss as well
        ended.append(time.time())
    return ended


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=sorted(cases.CASES))
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--batch", type=int, help="of all ranks together; else the case's own")
    given = parser.parse_args()
    rank, ranks = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    torch.set_num_threads(1)
    torch.manual_seed(1337)
    if ranks > 1:
        dist.init_process_group("gloo")
    case = cases.CASES[given.case]()
    ended = train(case, given.steps, ranks, given.batch or case.global_batch)
    if rank == 0:
        step_s = [b - a for a, b in itertools.pairwise(ended)]
        print(json.dumps({"first_step": ended[0], "step_s": step_s}), flush=True)
    if ranks > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
