"""A loop of one's own, written twice: with DDP under torchrun, and with evener.training.

    torchrun ... own.py --steps N [--fp64] --out FILE
    evener run own.py -- --evener --steps N [--fp64] --out FILE

Both take the same samples in the same order. The weights go to FILE; with DDP, rank 0 prints the
seconds of its steps as `loop.py` does.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import time
from typing import Any

import cases
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from evener import training


class Windows(Dataset[Any]):
    """Pieces of one text, each with itself one token later."""

    def __init__(self, count: int) -> None:
        draws = torch.Generator().manual_seed(1)
        self.tokens = torch.randint(cases.VOCABULARY, (100_000,), generator=draws)
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, place: int) -> tuple[torch.Tensor, torch.Tensor]:
        start = place * 97 % (len(self.tokens) - cases.BLOCK - 1)
        piece = self.tokens[start : start + cases.BLOCK + 1]
        return piece[:-1], piece[1:]


def with_ddp(case: cases.Case, data: Windows, model: nn.Module) -> list[float]:
    """When each step was done, by the wall clock."""
    ranks = dist.get_world_size()
    both = DistributedDataParallel(model)
    optimizer = case.optimizer(model)
    sampler: DistributedSampler[Any] = DistributedSampler(data, shuffle=False)
    ended = []
    for inputs, targets in DataLoader(data, case.global_batch // ranks, sampler=sampler):
        loss = cases.loss_of(both(inputs), targets)
        loss.backward()
        if case.clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), case.clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()  # evener reports every step's loss as well
        ended.append(time.time())
    return ended


def with_evener(case: cases.Case, data: Windows, model: nn.Module, run: training.Run) -> None:
    run.prepare(model, case.optimizer(model), clip_norm=case.clip_norm)
    batches = run.batches(data, global_batch=case.global_batch, epochs=1, shuffle=False)
    for inputs, targets in batches:
        outputs = model(inputs)
        loss = cross_entropy(outputs.flatten(0, -2), targets.flatten(), reduction="sum")
        run.step(loss, targets.numel())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evener", action="store_true")
    parser.add_argument("--fp64", action="store_true")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--out", required=True)
    given = parser.parse_args()
    run = training.start() if given.evener else None
    torch.set_num_threads(1)
    case = cases.CASES["gpt"]()
    torch.manual_seed(1337)
    model = case.model().double() if given.fp64 else case.model()
    data = Windows(given.steps * case.global_batch)
    if run is not None:
        with_evener(case, data, model, run)
        lead = run.is_lead
    else:
        dist.init_process_group("gloo")
        ended = with_ddp(case, data, model)
        lead = int(os.environ["RANK"]) == 0
        step_s = [b - a for a, b in itertools.pairwise(ended)]
        if lead:
            print(json.dumps({"first_step": ended[0], "step_s": step_s}), flush=True)
        dist.destroy_process_group()
    if lead:
        torch.save(model.state_dict(), given.out)


if __name__ == "__main__":
    main()
