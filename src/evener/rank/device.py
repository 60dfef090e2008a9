"""What a rank computes on: the device, its threads, its memory, and the exactness it keeps."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext

import torch

from evener.errors import BadCombination, DeviceMissing
from evener.probe.limits import quota_cpus

_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}

_GPU_CORES = 32.0  # what the smaller ones in use outdo


def open_device(name: str, threads: int) -> torch.device:
    """The device by the plan's name (`cpu`, `cuda:1`, `mps`), its threads set."""
    torch.set_num_threads(threads)
    device = torch.device(name)
    if not _present(device):
        raise DeviceMissing(
            f"the device {name!r} is not on this machine",
            where="local.device",
            fix="use device = 'auto', or install a torch build that knows the device",
        )
    if device.type == "cuda":
        torch.cuda.set_device(device)
    # TF32 rounds a product to ten bits: a step would depend on which machine computed it.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return device


def _present(device: torch.device) -> bool:
    if device.type == "cuda":
        return (device.index or 0) < torch.cuda.device_count()
    if device.type == "mps":
        return torch.backends.mps.is_available()
    return device.type == "cpu"


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """The context a forward pass runs in."""
    if precision == "fp16" and device.type == "cpu":
        raise BadCombination(
            "fp16 needs a GPU, and this rank computes on a CPU",
            where="train.precision",
            fix="use precision = 'bf16'",
        )
    if precision in _AUTOCAST:
        return torch.autocast(device.type, dtype=_AUTOCAST[precision])
    return nullcontext()


def seed(device: torch.device, number: int) -> None:
    """Of what is drawn on a processor and on `device`: to seed all kinds of device, as
    torch.manual_seed does, costs half a millisecond where they are not in use."""
    torch.default_generator.manual_seed(number)
    if device.type == "cuda":
        torch.cuda.manual_seed(number)
    elif device.type == "mps":
        torch.mps.manual_seed(number)


def threads() -> int:
    """How many this process computes with."""
    return torch.get_num_threads()


def worth(device: torch.device) -> float:
    """What it may be able to do, in cores of a processor: a guess, until it has computed."""
    return min(float(threads()), quota_cpus()) if device.type == "cpu" else _GPU_CORES


def synchronize(device: torch.device) -> None:
    """Let the device finish, so that a clock read now means something."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def memory_bytes(device: torch.device) -> int:
    """Peak device memory of this rank; resident memory where it computes on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "linux":
        with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123  (hot: no Path)
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def peak_memory_bytes(device: torch.device) -> int:
    """As `memory_bytes`, but the most it has ever been; 0 where the system does not tell."""
    if device.type != "cpu":
        return memory_bytes(device)
    if sys.platform == "win32":
        return 0
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def current() -> torch.device:
    """The device this process trains on: the accelerator it opened, or the CPU."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")
