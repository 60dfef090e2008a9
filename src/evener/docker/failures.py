"""What the docker command says when it fails, as an error that says what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass

from evener import errors
from evener.errors import EvenerError

LAST_LINES = 12


@dataclass(frozen=True, slots=True)
class _Known:
    pattern: str
    kind: type[EvenerError]
    what: str
    fix: str


_KNOWN = (
    _Known(
        r"permission denied.*(docker daemon|docker\.sock|connect)",
        errors.NotPermitted,
        "you may not speak to the Docker engine",
        "add yourself to the group docker (`sudo usermod -aG docker $USER`, then log in again), "
        "or use rootless Docker",
    ),
    _Known(
        r"cannot connect to the docker daemon|is the docker daemon running|error during connect"
        r"|dial unix",
        errors.DockerAway,
        "no Docker engine answers",
        "start it (`sudo systemctl start docker`, or Docker Desktop), or choose the context of "
        "one that runs (`docker context ls`)",
    ),
    _Known(
        r"no space left on device",
        errors.DiskFull,
        "the engine's disk is full",
        "`docker system df` shows what fills it; `docker system prune` removes what nobody uses",
    ),
    _Known(
        r"could not find an available, non-overlapping ipv4 address pool|all predefined address "
        r"pools have been fully subnetted",
        errors.DockerFailed,
        "the engine has no address range left for another network",
        "`docker network prune` removes those that nobody uses",
    ),
    _Known(
        r"port is already allocated|address already in use",
        errors.DockerFailed,
        "a port that was to be published is taken",
        "stop what uses it, or let the engine choose",
    ),
    _Known(
        r"pull access denied|manifest unknown|no such image|repository does not exist"
        r"|unable to find image|not found: manifest|get \"https?://\S+/v2/",
        errors.ImageMissing,
        "there is no such image",
        "check its name (image.base), and that this machine reaches the registry",
    ),
    _Known(
        r"python3?(\": executable file| *: *)not found|No module named '?(venv|ensurepip)"
        r"|ensurepip is not available",
        errors.ImageUnfit,
        "the image has no Python that can make a virtual environment",
        "image.base must have a Python of 3.11 or later, with venv and pip",
    ),
    _Known(
        r"could not select device driver.*gpu|nvidia-container-cli|unknown or invalid runtime "
        r"name: nvidia",
        errors.DeviceMissing,
        "the engine cannot give a GPU to a container",
        "install the NVIDIA Container Toolkit, then restart the engine",
    ),
)


def translate(arguments: str, said: str) -> EvenerError:
    """The error behind what `docker ARGUMENTS` wrote to its error stream."""
    lines = [line for line in said.strip().splitlines() if line.strip()][-LAST_LINES:]
    for known in _KNOWN:
        heard = [line for line in lines if re.search(known.pattern, line, re.IGNORECASE)]
        if heard:
            return known.kind(f"{known.what}: {heard[-1]}", where=arguments, fix=known.fix)
    what = "docker failed" + "".join(f"\n    {x}" for x in lines or ["it gave no reason"])
    return errors.DockerFailed(what, where=arguments, fix="the lines above are Docker's own")
