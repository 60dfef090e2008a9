"""How this machine fares, under the limits we are given: looked at again and again, for little."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from evener.cluster import Device
from evener.probe import limits, usage
from evener.probe.gpus import Gpu, driver
from evener.probe.limits import PROC, Limit
from evener.probe.patience import Clock, Patient
from evener.probe.sensor import SYS
from evener.probe.usage import Gauge, Levels

GPUS = 16  # of one machine; more would make its events long
# Digits that mean something; all else is counted in whole ones.
_DIGITS = {"cpu_share": 3, "busy_share": 3, "temperature_c": 1, "power_w": 1, "power_limit_w": 1}


@dataclass(frozen=True, slots=True)
class Load:
    """One look; rates are since the look before. None: the system does not say."""

    cpu_share: float | None = None  # of the processors we may use: 1 is all of them
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    disk_read_bytes_per_s: float | None = None
    disk_write_bytes_per_s: float | None = None
    sent_bytes_per_s: float | None = None
    received_bytes_per_s: float | None = None
    temperature_c: float | None = None  # of the processor
    gpus: dict[str, dict[str, Any]] = field(default_factory=dict)  # by UUID


class Meter:
    """Takes looks, in one thread. A gauge that costs much is asked seldom, one that fails says
    nothing; how long an answer takes is up to the system, so let nobody wait for a look."""

    def __init__(
        self,
        gauges: Iterable[Gauge],
        gpus: Sequence[tuple[Device, Gauge]] = (),
        clock: Clock = time.monotonic,
        cost: Clock = time.thread_time,
    ) -> None:
        self._gauges = [Patient(partial(usage.answer, g), clock, cost) for g in gauges]
        self._gpus = [(d, Patient(partial(usage.answer, g), clock, cost)) for d, g in gpus]

    def look(self) -> Load:
        levels = {name: value for gauge in self._gauges for name, value in gauge.read().items()}
        found = {d.uuid: {"name": d.name, **_rounded(gauge.read())} for d, gauge in self._gpus}
        return Load(**_rounded(levels), gpus=found)


def of_this_machine(
    devices: Iterable[Device] = (),
    proc: Path = PROC,
    sys: Path = SYS,
    clock: Clock = time.monotonic,
) -> Meter:
    """With the GPUs among `devices`. Reads once: the first look is since now."""
    quota, limit = limits.quota(proc), limits.memory_limit(proc)
    gauges = (
        usage.processors(quota, proc, clock),
        usage.memory(limit),
        usage.disks(_limited_group(quota, limit), sys, clock),
        usage.networks(sys, clock),
        usage.heat(sys),
    )
    return Meter(gauges, _gpus(devices), clock)


def _limited_group(*found: Limit | None) -> Path | None:
    """The control group of version 2 that somebody gave a limit: only that counts disks well."""
    limited = (x.folder for x in found if x and x.version == 2 and math.isfinite(x.most))
    return next(limited, None)


def _gpus(devices: Iterable[Device]) -> list[tuple[Device, Gauge]]:
    """Those that the driver knows; none where there is no driver."""
    found: list[tuple[Device, Gauge]] = []
    known = [d for d in devices if d.kind == "cuda" and d.uuid][:GPUS]
    for device in known:
        try:
            found.append((device, Gpu(driver(), device.uuid).read))
        except (OSError, AttributeError):
            continue
    return found


def _rounded(levels: Levels) -> dict[str, Any]:
    return {name: round(value, _DIGITS.get(name)) for name, value in levels.items()}
