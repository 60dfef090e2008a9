"""What NVIDIA's driver says of a GPU, asked by its UUID through the driver's own library.

The library comes with the driver, so nothing is installed for it; in a container without the
driver's tools it is missing, and then nothing is known. Asking leaves no context on the GPU.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

_NAME = "nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1"


class _Memory(ctypes.Structure):
    """`nvmlMemory_t`"""

    _fields_ = (
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    )


class _Busy(ctypes.Structure):
    """`nvmlUtilization_t`: hundredths of the last moments in which it, or its memory, worked."""

    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


def driver() -> Any:
    """The driver's library. Raises OSError where there is none."""
    return ctypes.CDLL(_NAME)


class Gpu:
    """One GPU. What it does not tell, by its kind or because it is lost by now, is left out."""

    def __init__(self, library: Any, uuid: str) -> None:
        """Raises OSError where the driver does not know the device."""
        self._library, self._handle = library, ctypes.c_void_p()
        _check(library.nvmlInit_v2())
        _check(library.nvmlDeviceGetHandleByUUID(uuid.encode(), ctypes.byref(self._handle)))

    def fill(self, question: str, answer: Any, *which: int) -> bool:
        """Ask a function of the library by its name; whether `answer` now holds what it says."""
        ask = getattr(self._library, question, None)  # an older driver lacks some
        return ask is not None and ask(self._handle, *which, ctypes.byref(answer)) == 0

    def number(self, question: str, *which: int) -> float | None:
        value = ctypes.c_uint()
        return float(value.value) if self.fill(question, value, *which) else None

    def temperature_c(self) -> float | None:
        return self.number("nvmlDeviceGetTemperature", 0)

    def read(self) -> dict[str, float]:
        """How it fares at this moment."""
        busy, memory = _Busy(), _Memory()
        milliwatts = self.number("nvmlDeviceGetPowerUsage")
        most_milliwatts = self.number("nvmlDeviceGetEnforcedPowerLimit")
        found = {
            "temperature_c": self.temperature_c(),
            "power_w": None if milliwatts is None else milliwatts / 1000,
            "power_limit_w": None if most_milliwatts is None else most_milliwatts / 1000,
        }
        if self.fill("nvmlDeviceGetUtilizationRates", busy):
            found["busy_share"] = busy.gpu / 100
        if self.fill("nvmlDeviceGetMemoryInfo", memory):
            found |= {
                "memory_bytes": float(memory.used),
                "memory_limit_bytes": float(memory.total),
            }
        return {name: value for name, value in found.items() if value is not None}


def _check(code: int) -> None:
    if code:
        raise OSError(f"the driver's library answered {code}")
