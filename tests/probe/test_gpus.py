"""What a GPU says of itself, by a driver that answers as NVIDIA's does."""

from __future__ import annotations

from typing import Any

import pytest

from evener.cluster import Device
from evener.probe import gpus
from evener.probe.gpus import Gpu
from evener.probe.load import GPUS, Meter, of_this_machine

UNSUPPORTED, LOST = 3, 15


class Driver:
    """Knows GPUs by their UUIDs. `failing` is what it answers to all later questions."""

    failing = 0

    def nvmlInit_v2(self) -> int:
        return 0

    def nvmlDeviceGetHandleByUUID(self, uuid: bytes, handle: Any) -> int:
        return 0 if uuid.startswith(b"GPU-") else 6

    def _put(self, where: Any, **values: int) -> int:
        if not self.failing:
            for name, value in values.items():
                setattr(where._obj, name, value)
        return self.failing

    def nvmlDeviceGetTemperature(self, handle: Any, sensor: int, to: Any) -> int:
        assert sensor == 0
        return self._put(to, value=66)

    def nvmlDeviceGetPowerUsage(self, handle: Any, to: Any) -> int:
        return self._put(to, value=171_345)

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: Any, to: Any) -> int:
        return self._put(to, value=200_000)

    def nvmlDeviceGetUtilizationRates(self, handle: Any, to: Any) -> int:
        return self._put(to, gpu=87, memory=40)

    def nvmlDeviceGetMemoryInfo(self, handle: Any, to: Any) -> int:
        return self._put(to, total=12 * 2**30, free=9 * 2**30, used=3 * 2**30)


class Shared(Driver):
    """Of a chip whose GPU has no memory of its own."""

    def nvmlDeviceGetMemoryInfo(self, handle: Any, to: Any) -> int:
        return UNSUPPORTED


class Old:
    """Of years ago: it has no other functions."""

    def nvmlInit_v2(self) -> int:
        return 0

    def nvmlDeviceGetHandleByUUID(self, uuid: bytes, handle: Any) -> int:
        return 0

    def nvmlDeviceGetTemperature(self, handle: Any, sensor: int, to: Any) -> int:
        to._obj.value = 50
        return 0


def test_a_gpu_tells_all_it_knows() -> None:
    assert Gpu(Driver(), "GPU-1").read() == {
        "busy_share": 0.87,
        "memory_bytes": 3 * 2**30,
        "memory_limit_bytes": 12 * 2**30,
        "temperature_c": 66.0,
        "power_w": 171.345,
        "power_limit_w": 200.0,
    }


def test_what_a_gpu_or_its_driver_does_not_have_is_left_out() -> None:
    told = Gpu(Shared(), "GPU-1").read()
    assert "busy_share" in told
    assert not {"memory_bytes", "memory_limit_bytes"} & set(told)
    assert Gpu(Old(), "GPU-1").read() == {"temperature_c": 50.0}


def test_a_gpu_that_is_lost_says_nothing_and_is_still_named() -> None:
    driver = Driver()
    device = Device("cuda", 0, "NVIDIA A100", 2**35, "GPU-1")
    meter = Meter((), [(device, Gpu(driver, "GPU-1").read)])
    assert meter.look().gpus["GPU-1"]["power_w"] == 171.3
    driver.failing = LOST
    lost = Meter((), [(device, Gpu(driver, "GPU-1").read)])
    assert lost.look().gpus == {"GPU-1": {"name": "NVIDIA A100"}}


def test_a_gpu_that_the_driver_does_not_know_is_an_error_at_the_start() -> None:
    with pytest.raises(OSError, match="answered 6"):
        Gpu(Driver(), "MIG-1")


def _has_driver() -> bool:
    try:
        gpus.driver()
    except OSError:
        return False
    return True


@pytest.mark.skipif(_has_driver(), reason="NVIDIA's driver is here")
def test_without_a_driver_no_gpu_is_looked_at() -> None:
    devices = [Device("cuda", n, "A", 1, f"GPU-{n}") for n in range(GPUS + 1)]
    assert of_this_machine(devices).look().gpus == {}
