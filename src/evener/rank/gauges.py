"""What can be read of a process and of the machine it computes on, as files of Linux have it.

Each function finds out once what there is to read: on another system, or in a container that
shows less, there are fewer sources. Files stay open, for finding them costs more than reading.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from evener.probe.limits import PROC, group_folders
from evener.probe.sensor import SYS, content, thermometer

_LONGEST = 1 << 16


class Source:
    """Open files, and what their texts say together."""

    def __init__(self, tell: Callable[..., dict[str, float]], *files: Path) -> None:
        """Raises OSError where one cannot be opened; then none is left open."""
        self._tell = tell
        self._fds: list[int] = []
        try:
            self._fds.extend(os.open(file, os.O_RDONLY) for file in files)
        except OSError:
            self.close()
            raise

    def read(self) -> dict[str, float]:
        """Nothing, where a file is gone by now or says something else."""
        try:
            return self._tell(*map(_content, self._fds))
        except (OSError, ValueError):
            return {}

    def close(self) -> None:
        while self._fds:
            os.close(self._fds.pop())


def _content(fd: int) -> str:
    if sys.platform == "win32":  # which has no such files
        return ""
    return os.pread(fd, _LONGEST, 0).decode("ascii")


def process(proc: Path = PROC) -> list[Source]:
    """Of this process and, where the system tells threads apart, of the one that calls."""
    found = [Source(lambda: {"running_s": time.thread_time()}), *_usage()]
    return found + _telling(parse_schedstat, proc / "thread-self/schedstat")


def groups(proc: Path = PROC) -> list[Source]:
    """Of our control groups and those above them: how long the quota held them back."""
    folders = [*group_folders("", proc), *group_folders("cpu", proc)]
    limited = [f / "cpu.stat" for f in folders if parse_throttled(content(f / "cpu.stat"))]
    return _telling(parse_throttled, *limited) if limited else []


def machine(proc: Path = PROC) -> list[Source]:
    """Waiting for memory (or, where that is not counted, swap), and what the host took of us."""
    pressures = [
        *(f / "memory.pressure" for f in group_folders("", proc)),
        proc / "pressure/memory",
    ]
    pressure = next((p for p in pressures if parse_pressure(content(p))), None)
    if pressure is not None:
        found = _telling(parse_pressure, pressure)
    else:
        found = _telling(parse_vmstat, proc / "vmstat")
    # On many processors this file is slow to make; who never lost time to a host never will.
    if parse_stat(content(proc / "stat")).get("stolen_ticks"):
        found += _telling(parse_stat, proc / "stat")
    return found


def power(sys: Path = SYS) -> list[Source]:
    supplies = sorted((sys / "class/power_supply").glob("*"))
    return _telling(parse_batteries, *(s / "status" for s in supplies if _is_battery(s)))


def processor(sys: Path = SYS, cpus: Iterable[int] | None = None) -> list[Source]:
    """Of the processors we may run on: heat, clock, temperature."""
    ours = sorted(_affinity() if cpus is None else cpus)
    folders = [sys / f"devices/system/cpu/cpu{number}" for number in ours]
    sensor = thermometer(sys)
    found = _clocks([f / "cpufreq" for f in folders])
    if sensor is not None:
        found += _telling(lambda text: {"temperature_c": int(text) / 1000}, sensor)
    return found


def heat(sys: Path = SYS, cpus: Iterable[int] | None = None) -> list[Source]:
    """Times our first and our last processor, and what they are packed with, slowed down."""
    ours = sorted(_affinity() if cpus is None else cpus)
    ends = dict.fromkeys((*ours[:1], *ours[-1:]))
    folders = [sys / f"devices/system/cpu/cpu{number}/thermal_throttle" for number in ends]
    names = ("core_throttle_count", "package_throttle_count")
    return _telling(parse_counts, *(f / name for f in folders for name in names))


def _clocks(folders: Sequence[Path]) -> list[Source]:
    """Idle processors are slow: the fastest is one that works."""
    highest = [content(f / "cpuinfo_max_freq").strip() for f in folders]
    known = [(f, int(k)) for f, k in zip(folders, highest, strict=True) if k.strip("0").isdigit()]

    def tell(*texts: str) -> dict[str, float]:
        parts = [int(text) / khz for text, (_, khz) in zip(texts, known, strict=True)]
        return {"clock": max(parts)}

    return _telling(tell, *(f / "scaling_cur_freq" for f, _ in known))


# --------------------------------------------------------------------------------- texts


def parse_schedstat(text: str) -> dict[str, float]:
    """schedstat: nanoseconds run and queued, slices; all zero where the kernel does not count."""
    ran, queued, _ = map(int, text.split())
    return {"queued_s": queued / 1e9} if ran else {}


def parse_throttled(*texts: str) -> dict[str, float]:
    """cpu.stat of version 2 (`throttled_usec`) or 1 (`throttled_time`, in ns)."""
    units = {"usec": 1e-6, "time": 1e-9}
    found = [re.search(r"^throttled_(usec|time) (\d+)$", text, re.MULTILINE) for text in texts]
    seconds = [int(match[2]) * units[match[1]] for match in found if match]
    return {"throttled_s": sum(seconds)} if seconds else {}


def parse_pressure(text: str) -> dict[str, float]:
    """memory.pressure: microseconds in which somebody of the group waited for memory."""
    found = re.search(r"^some .*total=(\d+)$", text, re.MULTILINE)
    return {"stalled_s": int(found[1]) / 1e6} if found else {}


def parse_vmstat(text: str) -> dict[str, float]:
    pages = re.findall(r"^pswp(?:in|out) (\d+)$", text, re.MULTILINE)
    return {"swapped_pages": float(sum(map(int, pages)))} if pages else {}


def parse_stat(text: str) -> dict[str, float]:
    """/proc/stat, ticks since boot: user nice system idle iowait irq softirq steal."""
    fields = text.partition("\n")[0].split()
    if fields[:1] != ["cpu"] or len(fields) < 9:
        return {}
    user, nice, system, _, _, irq, softirq, steal = map(float, fields[1:9])
    return {"stolen_ticks": steal, "busy_ticks": user + nice + system + irq + softirq + steal}


def parse_batteries(*texts: str) -> dict[str, float]:
    return {"on_battery": float(any(text.strip() == "Discharging" for text in texts))}


def parse_counts(*texts: str) -> dict[str, float]:
    return {"heat_events": float(sum(map(int, texts)))}


# ------------------------------------------------------------------------------- finding


def _telling(tell: Callable[..., dict[str, float]], *files: Path) -> list[Source]:
    """The source of these files, if there are any and they say something."""
    if not files:
        return []
    try:
        source = Source(tell, *files)
    except OSError:
        return []
    if source.read():
        return [source]
    source.close()
    return []


def _usage() -> list[Source]:
    try:
        resource: Any = import_module("resource")
    except ImportError:
        return []  # Windows

    def tell() -> dict[str, float]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {"preempted": float(used.ru_nivcsw), "major_faults": float(used.ru_majflt)}

    return [Source(tell)]


def _affinity() -> Iterable[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()


def _is_battery(supply: Path) -> bool:
    """Of the machine: a mouse has one too, of scope `Device`."""
    own = content(supply / "scope").strip() != "Device"
    return own and content(supply / "type").strip() == "Battery"
