"""Reads this machine. Each fact on its own: what cannot be read says so in the notes."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TypeVar

from evener import contract
from evener.cluster import Device, Machine
from evener.probe import limits, parse
from evener.probe.interfaces import interfaces

T = TypeVar("T")
TOOL_S = 10.0  # nvidia-smi on a machine with many idle GPUs takes seconds to wake the driver
_NVIDIA_SMI = (
    "nvidia-smi",
    "--query-gpu=index,name,memory.total,uuid",
    "--format=csv,noheader,nounits",
)


def probe(folder: Path = Path()) -> Machine:
    """This machine, with the disk under `folder`. Never fails; takes milliseconds without GPUs."""
    notes: list[str] = []

    def read(what: str, reader: Callable[[], T], otherwise: T) -> T:
        try:
            return reader()
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            notes.append(f"{what} could not be read: {error}")
            return otherwise

    memory = read("memory", _memory_bytes, 0)
    nothing: tuple[Device, ...] = ()
    return Machine(
        name=platform.node() or "localhost",
        system=f"{platform.system()} {platform.release()} {platform.machine()}".strip(),
        cpus=read("processors", _cpus, float(os.cpu_count() or 1)),
        memory_bytes=memory,
        disk_free_bytes=read("disk", lambda: shutil.disk_usage(folder.resolve()).free, 0),
        cpu_name=read("processor's name", _cpu_name, platform.processor()),
        python=platform.python_version(),
        torch=_torch_version(),
        devices=(*read("CUDA devices", _cuda_devices, nothing), *_apple_devices(memory)),
        addresses=read("addresses", addresses, ()),
        notes=tuple(notes),
    )


def _cpus() -> float:
    return min(float(limits.usable_cpus()), limits.quota_cpus())


def _memory_bytes() -> int:
    return int(min(_installed_memory_bytes(), limits.memory_limit_bytes()))


def _installed_memory_bytes() -> int:
    if sys.platform == "win32":
        return _windows_memory_bytes()
    if sys.platform == "linux":
        return parse.parse_meminfo((limits.PROC / "meminfo").read_text())
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _windows_memory_bytes() -> int:
    """GlobalMemoryStatusEx: its answer begins with two 32-bit fields, then the total."""
    answer = (ctypes.c_uint64 * 8)()
    ctypes.memset(answer, 0, 64)
    ctypes.cast(answer, ctypes.POINTER(ctypes.c_uint32))[0] = 64
    if not ctypes.CDLL("kernel32").GlobalMemoryStatusEx(answer):
        raise OSError("GlobalMemoryStatusEx failed")
    return int(answer[1])


def _cpu_name() -> str:
    if sys.platform == "linux":
        name = parse.parse_cpu_name((limits.PROC / "cpuinfo").read_text())
    elif sys.platform == "darwin":
        name = _output("sysctl", "-n", "machdep.cpu.brand_string").strip()
    else:
        name = ""
    return name or platform.processor() or platform.machine()


def _torch_version() -> str:
    """Of the torch that ranks will import; "" where it is not installed. Does not import it."""
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return ""


def _cuda_devices() -> tuple[Device, ...]:
    if shutil.which(_NVIDIA_SMI[0]) is None:
        return ()
    devices = parse.parse_nvidia_smi(_output(*_NVIDIA_SMI))
    return parse.visible_devices(devices, contract.user_variable("CUDA_VISIBLE_DEVICES"))


def _apple_devices(memory_bytes: int) -> tuple[Device, ...]:
    if sys.platform != "darwin" or platform.machine() != "arm64":
        return ()
    return (Device("mps", 0, "Apple GPU", memory_bytes),)


def addresses() -> tuple[str, ...]:
    """Where other machines may reach us: neither loopback nor link-local."""
    found = (i.address for i in interfaces())
    return tuple(str(a) for a in found if not a.is_loopback and not a.is_link_local)


def _output(*command: str) -> str:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TOOL_S
    )
    if done.returncode != 0:
        reason = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise OSError(f"{command[0]} exited with {done.returncode}: {reason[0]}")
    return done.stdout
