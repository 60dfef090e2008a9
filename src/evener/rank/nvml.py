"""Heat, clock and limits of the GPU a rank computes on, from the library of NVIDIA's driver."""

from __future__ import annotations

import ctypes
from typing import Any

import torch

from evener.probe.gpus import Gpu, driver
from evener.rank.gauges import Source

_SM = 1  # which clock
# nvmlClocksThrottleReason*: by software, by hardware; and for the limit of power.
_HOT, _CAPPED = 0x20 | 0x40, 0x04 | 0x80


def levels(device: str) -> list[Source]:
    """Of the CUDA device with torch's name; none where the driver cannot be asked."""
    try:
        library = driver()
        uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
        return [of(library, uuid)]
    except (OSError, AttributeError, RuntimeError):
        return []


def of(library: Any, uuid: str) -> Source:
    """Raises OSError where the driver does not know the device."""
    gpu = Gpu(library, uuid)
    most = gpu.number("nvmlDeviceGetMaxClockInfo", _SM)

    def read() -> dict[str, float]:
        found = {"temperature_c": gpu.temperature_c()}
        clock = gpu.number("nvmlDeviceGetClockInfo", _SM)
        if clock is not None and most:
            found["clock"] = clock / most
        reasons = ctypes.c_ulonglong()
        if gpu.fill("nvmlDeviceGetCurrentClocksThrottleReasons", reasons):
            found["hot"] = float(bool(reasons.value & _HOT))
            found["capped"] = float(bool(reasons.value & _CAPPED))
        return {name: value for name, value in found.items() if value is not None}

    return Source(read)
