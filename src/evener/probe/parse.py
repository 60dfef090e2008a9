"""Texts of the system made facts: pure, so that tests feed texts of machines we do not have."""

from __future__ import annotations

import math
import re
from dataclasses import replace

from evener.cluster import Device

_UNLIMITED = 2**60  # version 1 writes "no limit" as a huge number


def parse_mounts(text: str) -> dict[str, str]:
    """/proc/mounts: where each cgroup controller lives; "" is the unified hierarchy."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 4:
            continue
        path = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), fields[1])
        if fields[2] == "cgroup2":
            found.setdefault("", path)
        elif fields[2] == "cgroup":
            for option in fields[3].split(","):
                found.setdefault(option, path)
    return found


def parse_cgroups(text: str) -> dict[str, str]:
    """/proc/self/cgroup: our path below each controller's mount; "" is the unified hierarchy."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number.isdigit() and path.startswith("/"):
            found |= dict.fromkeys(controllers.split(","), path)
    return found


def parse_cpu_max(text: str) -> float:
    """cpu.max of version 2, "200000 100000" or "max 100000": cores; infinite without a limit."""
    quota, _, period = text.strip().partition(" ")
    if quota == "max":
        return math.inf
    return int(quota) / int(period or 100_000)


def parse_cfs_quota(quota: str, period: str) -> float:
    """cpu.cfs_quota_us and cpu.cfs_period_us of version 1: cores; infinite without a limit."""
    if int(quota) <= 0:
        return math.inf
    return int(quota) / int(period)


def parse_memory_limit(text: str) -> float:
    """memory.max or memory.limit_in_bytes: bytes; infinite without a limit."""
    word = text.strip()
    if word == "max" or int(word) >= _UNLIMITED:
        return math.inf
    return float(int(word))


def parse_cpu_stat(text: str) -> float:
    """cpu.stat of version 2: seconds that processors have worked for the group, ever."""
    match = re.search(r"^usage_usec (\d+)$", text, re.MULTILINE)
    if match is None:
        raise ValueError("no usage_usec")
    return int(match[1]) / 1e6


def parse_cpuacct(text: str) -> float:
    """cpuacct.usage of version 1: the same seconds, from nanoseconds."""
    return int(text) / 1e9


def parse_cache(text: str) -> int:
    """memory.stat of both versions: bytes of files that lie unused, and go when room is needed.

    Version 1 tells those of the groups below, which its usage has in it, in a `total` of its own.
    """
    found = dict(re.findall(r"^((?:total_)?inactive_file) (\d+)$", text, re.MULTILINE))
    return int(found.get("total_inactive_file") or found.get("inactive_file") or 0)


def parse_io_stat(text: str) -> dict[str, tuple[int, int]]:
    """io.stat of version 2: bytes read and written, by the device's number ("8:0")."""
    found = {}
    for line in text.splitlines():
        names = [word for word in line.split() if "=" not in word]
        values = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if names:  # some kernels put devices without any figures before the one that has them
            found[names[-1]] = int(values.get("rbytes", 0)), int(values.get("wbytes", 0))
    return found


def parse_meminfo(text: str) -> int:
    """/proc/meminfo: the bytes of memory there are."""
    match = re.search(r"^MemTotal:\s+(\d+) kB$", text, re.MULTILINE)
    if match is None:
        raise ValueError("no MemTotal")
    return int(match[1]) * 1024


def parse_cpu_name(text: str) -> str:
    """/proc/cpuinfo: the model's name; "" where the architecture does not tell."""
    match = re.search(r"^(?:model name|Model|Hardware|cpu model)\s*:\s*(.+)$", text, re.MULTILINE)
    return " ".join(match[1].split()) if match else ""


def parse_nvidia_smi(text: str) -> tuple[Device, ...]:
    """`nvidia-smi --query-gpu=index,name,memory.total,uuid --format=csv,noheader,nounits`.

    Memory that a device does not tell ("[N/A]" where it is shared with the processor) is 0.
    """
    devices = []
    for line in text.splitlines():
        if not line.strip():
            continue
        fields = [f.strip() for f in line.split(",")]
        if len(fields) != 4 or not fields[0].isdigit():
            raise ValueError(f"not a line about a device: {line!r}")
        memory = int(fields[2]) * 2**20 if fields[2].isdigit() else 0
        devices.append(Device("cuda", int(fields[0]), fields[1], memory, fields[3]))
    return tuple(devices)


def visible_devices(devices: tuple[Device, ...], wanted: str | None) -> tuple[Device, ...]:
    """What CUDA_VISIBLE_DEVICES leaves, numbered as a process under it will see them.

    As CUDA does: numbers or beginnings of UUIDs, and the first that fits nothing ends the list.
    """
    if wanted is None:
        return devices
    seen: list[Device] = []
    for word in (w.strip() for w in wanted.split(",")):
        fitting = [d for d in devices if _is_meant(d, word)]
        if len(fitting) != 1:
            break
        seen.append(replace(fitting[0], index=len(seen)))
    return tuple(seen)


def _is_meant(device: Device, word: str) -> bool:
    if word.isdigit():
        return device.index == int(word)
    return word.startswith("GPU-") and device.uuid.startswith(word)
