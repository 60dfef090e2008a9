"""A plain script for torchrun, with checkpoints of its own: it knows nothing of evener.

    python examples/ddp_with_checkpoints.py                      one process
    torchrun --nproc-per-node 2 examples/ddp_with_checkpoints.py
    evener run examples/ddp_with_checkpoints.py --nproc 2 -- --steps 500

When a process or a machine is lost, evener starts all that are left once more, and the script goes
on from its newest checkpoint, as it would under torchrun.
"""

import argparse
import os
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler


def numbers(count: int = 2048) -> TensorDataset:
    """The same on every rank: y is a fixed mix of x."""
    drawn = torch.Generator().manual_seed(0)
    x = torch.randn(count, 16, generator=drawn)
    return TensorDataset(x, x @ torch.randn(16, 1, generator=drawn))


def save(path: Path, step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Whole or not at all: whoever starts next reads it."""
    beside = path.with_suffix(".tmp")
    state = {"step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(state, beside)
    beside.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--save-every", type=int, default=20)
    parser.add_argument("--pause-s", type=float, default=0.0, help="as if a step took longer")
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoint.pt"))
    args = parser.parse_args()

    if "RANK" in os.environ:
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    elif not dist.is_initialized():
        dist.init_process_group("gloo", init_method="tcp://127.0.0.1:0", rank=0, world_size=1)
    rank, world = dist.get_rank(), dist.get_world_size()
    local = int(os.environ.get("LOCAL_RANK", 0))
    device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")

    torch.manual_seed(0)
    model = DistributedDataParallel(
        nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1)).to(device)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    step = 0
    if args.checkpoint.exists():
        state = torch.load(args.checkpoint, map_location=device, weights_only=True)
        model.module.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
        print(f"rank {rank} of {world} goes on from step {step}", flush=True)

    data = numbers()
    sampler: DistributedSampler[object] = DistributedSampler(data, num_replicas=world, rank=rank)
    loader = DataLoader(data, batch_size=64 // world, sampler=sampler, drop_last=True)
    while step < args.steps:
        sampler.set_epoch(step // len(loader))
        for x, y in loader:
            loss = nn.functional.mse_loss(model(x.to(device)), y.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            time.sleep(args.pause_s)
            if rank == 0:
                print(f"step {step}/{args.steps}: loss {loss.item():.4f}", flush=True)
                if step % args.save_every == 0:
                    save(args.checkpoint, step, model.module, optimizer)
            if step == args.steps:
                break
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
