"""How much of this machine is in use, one gauge each: processors, memory, disks, networks, heat.

A gauge is asked again and again and answers with what it can tell at that moment; what the system
does not say is left out. Where a control group limits us, it tells of that group, else of the
whole machine, whoever uses it.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, TypeVar

from evener.probe import limits, parse
from evener.probe.limits import PROC, Limit
from evener.probe.patience import Clock
from evener.probe.sensor import SYS, thermometer

_LOOPBACK = re.compile(r"lo\d*$|loopback", re.IGNORECASE)

K = TypeVar("K")
Levels = dict[str, float]
Gauge = Callable[[], Levels]
Flows = dict[tuple[str, str], float]  # by what is counted, and of which device


def answer(ask: Callable[[], dict[K, float]]) -> dict[K, float]:
    """Nothing where it fails: a file, a device or psutil itself may not be there."""
    try:
        return ask()
    except (OSError, ImportError, ValueError, LookupError, AttributeError, RuntimeError):
        return {}


class Growth(Generic[K]):
    """What counters grow by in a second, since they were asked before. One that is new, or has
    gone back, says nothing yet."""

    def __init__(self, count: Callable[[], dict[K, float]], clock: Clock) -> None:
        self._count, self._clock = count, clock
        self._at, self._seen = clock(), answer(count)

    def per_s(self) -> dict[K, float]:
        at, seen = self._clock(), answer(self._count)
        seconds, before = at - self._at, self._seen
        self._at, self._seen = at, seen
        if seconds <= 0:
            return {}
        rising = (k for k, value in seen.items() if k in before and value >= before[k])
        return {k: (seen[k] - before[k]) / seconds for k in rising}


# --------------------------------------------------------------------------- processors


def processors(quota: Limit | None, proc: Path = PROC, clock: Clock = time.monotonic) -> Gauge:
    """The part of the processors that works: of those under `quota`, or of all we may run on."""
    if quota is None or quota.most >= limits.usable_cpus():
        return _processors_of_machine(clock)
    cores, growth = quota.most, Growth(_used_by(quota, proc), clock)

    def tell() -> Levels:
        used = growth.per_s().get("used")
        return {} if used is None else {"cpu_share": min(used / cores, 1.0)}

    return tell


def _used_by(quota: Limit, proc: Path) -> Gauge:
    """Version 1 may keep its accounts in a tree of their own, of the same shape."""
    if quota.version == 2:
        stat = quota.folder / "cpu.stat"
        return lambda: {"used": parse.parse_cpu_stat(stat.read_text())}
    limited, counted = (limits.group_folders(name, proc) for name in ("cpu", "cpuacct"))
    accounts = dict(zip(limited, counted, strict=False))
    usage = accounts.get(quota.folder, quota.folder) / "cpuacct.usage"
    return lambda: {"used": parse.parse_cpuacct(usage.read_text())}


def _processors_of_machine(clock: Clock) -> Gauge:
    ours = _affinity()

    def count() -> Levels:
        times = _psutil().cpu_times(percpu=ours is not None)
        chosen = [times] if ours is None else [t for n, t in enumerate(times) if n in ours]
        return spent([t._asdict() for t in chosen])

    growth = Growth(count, clock)

    def tell() -> Levels:
        grown = growth.per_s()
        if not grown.get("all") or "idle" not in grown:
            return {}
        return {"cpu_share": min(max(1 - grown["idle"] / grown["all"], 0.0), 1.0)}

    return tell


def spent(times: Iterable[Mapping[str, float]]) -> Levels:
    """Seconds of processors, and those of them in which there was nothing to do. What guests of
    this machine used is in `user` too."""
    whole = idle = 0.0
    for of_one in times:
        whole += sum(s for name, s in of_one.items() if not name.startswith("guest"))
        idle += of_one.get("idle", 0.0) + of_one.get("iowait", 0.0)
    return {"all": whole, "idle": idle}


def _affinity() -> Collection[int] | None:
    """The processors we may run on; None where these are all."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    ours = os.sched_getaffinity(0)
    return ours if len(ours) < (os.cpu_count() or 0) else None


# ------------------------------------------------------------------------------- memory


def memory(limit: Limit | None) -> Gauge:
    """What is in use, and how much there is. Files that the system keeps for later do not count."""
    installed = answer(_memory_of_machine).get("memory_limit_bytes", math.inf)
    if limit is None or limit.most >= installed:
        return _memory_of_machine
    name = "memory.current" if limit.version == 2 else "memory.usage_in_bytes"
    most, usage, stat = limit.most, limit.folder / name, limit.folder / "memory.stat"

    def tell() -> Levels:
        used = int(usage.read_text()) - parse.parse_cache(stat.read_text())
        return {"memory_bytes": max(used, 0), "memory_limit_bytes": most}

    return tell


def _memory_of_machine() -> Levels:
    seen = _psutil().virtual_memory()
    return {"memory_bytes": seen.total - seen.available, "memory_limit_bytes": seen.total}


# ------------------------------------------------------------------- disks and networks


def disks(group: Path | None, sys: Path = SYS, clock: Clock = time.monotonic) -> Gauge:
    """What is read from and written to disks: by the control group in `group`, if its kernel
    counts that."""
    names = "disk_read_bytes_per_s", "disk_write_bytes_per_s"
    stat = (group or Path()) / "io.stat"

    def of_group() -> Flows:
        return _flows(names, parse.parse_io_stat(stat.read_text()), sys / "dev/block")

    def of_machine() -> Flows:
        seen = _psutil().disk_io_counters(perdisk=True, nowrap=False) or {}
        bytes_of = {name: (c.read_bytes, c.write_bytes) for name, c in seen.items()}
        return _flows(names, bytes_of, sys / "block")

    return _sums(of_group if group is not None and stat.is_file() else of_machine, clock)


def networks(sys: Path = SYS, clock: Clock = time.monotonic) -> Gauge:
    """What leaves this machine, or container, and what comes in. What its own ranks tell each
    other goes over loopback and is not in it."""
    names = "sent_bytes_per_s", "received_bytes_per_s"

    def count() -> Flows:
        seen = _psutil().net_io_counters(pernic=True, nowrap=False)
        bytes_of = {
            name: (c.bytes_sent, c.bytes_recv)
            for name, c in seen.items()
            if not _LOOPBACK.match(name)
        }
        return _flows(names, bytes_of, sys / "class/net")

    return _sums(count, clock)


def _flows(names: tuple[str, str], bytes_of: Mapping[str, tuple[int, int]], folder: Path) -> Flows:
    pairs = ((device, bytes_of[device]) for device in tangible(bytes_of, folder))
    return {
        (name, device): float(count)
        for device, counts in pairs
        for name, count in zip(names, counts, strict=True)
    }


def tangible(devices: Collection[str], folder: Path) -> list[str]:
    """Those with hardware behind them: what goes through a partition, a bridge or a tunnel goes
    through such a one too, and would count twice. Where none has (in a container), all."""
    found = [device for device in devices if (folder / device / "device").exists()]
    return found or list(devices)


def _sums(count: Callable[[], Flows], clock: Clock) -> Gauge:
    growth = Growth(count, clock)

    def tell() -> Levels:
        sums: Levels = {}
        for (name, _), value in growth.per_s().items():
            sums[name] = sums.get(name, 0.0) + value
        return sums

    return tell


# --------------------------------------------------------------------------------- heat


def heat(sys: Path = SYS) -> Gauge:
    """The processor's temperature."""
    file = thermometer(sys)
    return lambda: {} if file is None else {"temperature_c": int(file.read_text()) / 1000}


def _psutil() -> Any:
    """Found by who looks, not by who imports us: it takes longer to import than all of this."""
    return import_module("psutil")
