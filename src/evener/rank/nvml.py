"""Heat, clock and limits of the GPU a rank computes on, from the library of NVIDIA's driver.

The library comes with the driver, so nothing is installed for it; in a container without the
driver's tools it is missing, and then nothing is known.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import torch

from evener.rank.gauges import Source

_NAME = "nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1"
_SM = 1  # which clock
# nvmlClocksThrottleReason*: by software, by hardware; and for the limit of power.
_HOT, _CAPPED = 0x20 | 0x40, 0x04 | 0x80


def levels(device: str) -> list[Source]:
    """Of the CUDA device with torch's name; none where the driver cannot be asked."""
    try:
        library = ctypes.CDLL(_NAME)
        uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
        return [of(library, uuid)]
    except (OSError, AttributeError, RuntimeError):
        return []


def of(library: Any, uuid: str) -> Source:
    """Raises OSError where the driver does not know the device."""
    handle = ctypes.c_void_p()
    _check(library.nvmlInit_v2())
    _check(library.nvmlDeviceGetHandleByUUID(uuid.encode(), ctypes.byref(handle)))
    most = _number(library.nvmlDeviceGetMaxClockInfo, handle, _SM)

    def read() -> dict[str, float]:
        found = {"temperature_c": _number(library.nvmlDeviceGetTemperature, handle, 0)}
        clock = _number(library.nvmlDeviceGetClockInfo, handle, _SM)
        if clock is not None and most:
            found["clock"] = clock / most
        reasons = ctypes.c_ulonglong()
        if not library.nvmlDeviceGetCurrentClocksThrottleReasons(handle, ctypes.byref(reasons)):
            found["hot"] = float(bool(reasons.value & _HOT))
            found["capped"] = float(bool(reasons.value & _CAPPED))
        return {name: value for name, value in found.items() if value is not None}

    return Source(read)


def _number(ask: Any, handle: ctypes.c_void_p, what: int) -> float | None:
    value = ctypes.c_uint()
    return None if ask(handle, what, ctypes.byref(value)) else float(value.value)


def _check(code: int) -> None:
    if code:
        raise OSError(f"the driver's library answered {code}")
