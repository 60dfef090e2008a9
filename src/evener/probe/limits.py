"""What control groups and affinity leave us of the machine: processors and memory."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from evener.probe import parse

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Limit:
    """What the control group in `folder`, ours or one above it, may have: cores, or bytes."""

    most: float  # infinite: as much as there is
    folder: Path
    version: int  # of control groups


def quota_cpus(proc: Path = PROC) -> float:
    """Cores under the tightest quota of our control group and those above; infinite without."""
    limit = quota(proc)
    return math.inf if limit is None else limit.most


def memory_limit_bytes(proc: Path = PROC) -> float:
    """Bytes under the tightest limit of our control group and those above; infinite without."""
    limit = memory_limit(proc)
    return math.inf if limit is None else limit.most


def quota(proc: Path = PROC) -> Limit | None:
    """The tightest one of processors; None without control groups."""
    unified = (Limit(_read_cpu_max(f), f, 2) for f in group_folders("", proc))
    first = (Limit(_read_cfs_quota(f), f, 1) for f in group_folders("cpu", proc))
    return min([*unified, *first], key=lambda limit: limit.most, default=None)


def memory_limit(proc: Path = PROC) -> Limit | None:
    """The tightest one of memory; None without control groups."""
    unified = (Limit(_read_memory(f / "memory.max"), f, 2) for f in group_folders("", proc))
    name = "memory.limit_in_bytes"
    first = (Limit(_read_memory(f / name), f, 1) for f in group_folders("memory", proc))
    return min([*unified, *first], key=lambda limit: limit.most, default=None)


def usable_cpus() -> int:
    """Processors the scheduler may put us on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def group_folders(controller: str, proc: Path = PROC) -> Iterator[Path]:
    """Our group's folder for `controller` and every one above it, as far as they can be seen.

    Inside a container the path may be the host's, which is not there: then the mount's root is
    our group.
    """
    try:
        mounts = parse.parse_mounts((proc / "mounts").read_text())
        groups = parse.parse_cgroups((proc / "self/cgroup").read_text())
    except OSError:
        return  # no Linux
    if controller not in mounts or controller not in groups:
        return
    root = Path(mounts[controller])
    folder = root / groups[controller].lstrip("/")
    for candidate in (folder, *folder.parents):
        if candidate.is_dir() and candidate.is_relative_to(root):
            yield candidate


def _read_cpu_max(folder: Path) -> float:
    return _read(lambda: parse.parse_cpu_max((folder / "cpu.max").read_text()))


def _read_cfs_quota(folder: Path) -> float:
    quota, period = folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us"
    return _read(lambda: parse.parse_cfs_quota(quota.read_text(), period.read_text()))


def _read_memory(file: Path) -> float:
    return _read(lambda: parse.parse_memory_limit(file.read_text()))


def _read(limit: Callable[[], float]) -> float:
    """A limit; infinite where the file is missing (the root group has none) or unreadable."""
    try:
        return limit()
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf
