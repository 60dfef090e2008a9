"""On a machine with a CUDA device: what its driver says of it while it computes."""

from __future__ import annotations

import time

import pytest
import torch

from evener.probe import probe
from evener.probe.load import of_this_machine

pytestmark = pytest.mark.gpu


def test_a_gpu_that_computes_is_busy_and_holds_memory() -> None:
    (uuid, name), *_ = [(d.uuid, d.name) for d in probe().devices]
    meter = of_this_machine(probe().devices)
    block = torch.ones(4096, 4096, device="cuda:0")
    until = time.monotonic() + 2
    while time.monotonic() < until:
        block = (block @ block).clamp(0, 1)
        torch.cuda.synchronize()
    seen = meter.look().gpus[uuid]
    assert seen["name"] == name
    assert 0.3 < seen["busy_share"] <= 1
    assert block.nbytes < seen["memory_bytes"] < seen["memory_limit_bytes"]
    assert seen["memory_limit_bytes"] <= torch.cuda.get_device_properties(0).total_memory * 1.2
    assert 10 < seen["temperature_c"] < 110
    assert 0 < seen["power_w"] <= seen["power_limit_w"] * 1.2
