"""Whether containers can have this machine's GPUs: driver, toolkit, and an engine that knows it.

The engine itself tells nothing beforehand about the last of the three; `failures` reads it from
what it says when a container is started.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

from evener.cluster import Device
from evener.placement import Hindrance

_DRIVER = "nvidia-smi"
_TOOLKIT = ("nvidia-container-runtime-hook", "nvidia-container-cli", "nvidia-ctk")


def hindrance(devices: Sequence[Device], runtimes: Sequence[str]) -> Hindrance | None:
    """Why no container could have a GPU of this machine; None where it should work."""
    return judge(
        driver=shutil.which(_DRIVER) is not None,
        seen=any(d.kind == "cuda" for d in devices),
        toolkit=sys.platform != "linux"  # there Docker Desktop brings it
        or "nvidia" in runtimes
        or any(shutil.which(program) for program in _TOOLKIT),
    )


def judge(*, driver: bool, seen: bool, toolkit: bool) -> Hindrance | None:
    if not driver:
        return Hindrance(
            "there is no NVIDIA driver on this machine",
            "install the driver of the GPU, until `nvidia-smi -L` lists it",
        )
    if not seen:
        return Hindrance(
            "the NVIDIA driver sees no GPU",
            "`nvidia-smi -L` must list one: look at CUDA_VISIBLE_DEVICES and the driver's version",
        )
    if not toolkit:
        return Hindrance(
            "the NVIDIA Container Toolkit is not installed",
            "install the package nvidia-container-toolkit, then `sudo nvidia-ctk runtime configure "
            "--runtime=docker` and `sudo systemctl restart docker`",
        )
    return None
