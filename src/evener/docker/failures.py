"""What the docker command says when it fails, as an error that says what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass

from evener import errors
from evener.errors import EvenerError

LAST_LINES = 12
_ADVICE = ("Run 'docker", "See 'docker", "For more help on how to use Docker")


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
        r"network \S+ is in use by task",
        errors.DockerFailed,
        "the network is held by a container on a machine that is away, or has been",
        "nothing else is left here; `evener stop RUN` where the run began removes it, once that "
        "machine is back",
    ),
    _Known(
        r"port is already allocated|address already in use",
        errors.PortTaken,
        "a port that was to be published is taken",
        "stop what uses it, or let the engine choose",
    ),
    _Known(
        r"^(?!.*pull access denied).*(requested access to the resource is denied|unauthorized"
        r"|no basic auth credentials|authentication required)",
        errors.NotPermitted,
        "the registry does not let you in",
        "`docker login REGISTRY`, with an account that may do this there; then again",
    ),
    _Known(
        r"server gave http response to https client",
        errors.DockerFailed,
        "the registry speaks without TLS, and engines believe only those of their own machine so",
        "give it a certificate, or name it in `insecure-registries` of each engine's daemon.json; "
        "or do without one: evener image save, evener image load",
    ),
    _Known(
        r"/v2/\"?: .*(dial|lookup|timeout|refused|unreachable|x509|tls:|EOF)",
        errors.ImageMissing,
        "the registry is not reached",
        "check the name (of an image's base: image.base), and that this machine reaches it; "
        "without a network: evener image save, evener image load",
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
        r"could not select device driver|unknown or invalid runtime name: nvidia",
        errors.DeviceMissing,
        "the engine does not know NVIDIA's runtime",
        "where the NVIDIA Container Toolkit is installed: `sudo nvidia-ctk runtime configure "
        "--runtime=docker`, then `sudo systemctl restart docker`",
    ),
    _Known(
        r"nvidia-container-cli.*(driver|nvml|libcuda|cuda>=)",
        errors.DeviceMissing,
        "the NVIDIA driver does not answer the engine",
        "`nvidia-smi` must work on this machine, and its driver be new enough for image.cuda",
    ),
    _Known(
        r"nvidia-container-cli|unresolvable cdi devices|failed to inject cdi",
        errors.DeviceMissing,
        "the NVIDIA Container Toolkit cannot give the GPU to a container",
        "update the package nvidia-container-toolkit, then `sudo systemctl restart docker`",
    ),
    _Known(
        r"bind source path does not exist|mounts denied|is not shared from the host",
        errors.DockerFailed,
        "the engine does not see a folder of this machine",
        "share it (Docker Desktop: Settings, Resources, File sharing); where the engine is on "
        "another machine (`docker context ls`), run evener there",
    ),
)


def translate(arguments: str, said: str) -> EvenerError:
    """The error behind what `docker ARGUMENTS` wrote to its error stream."""
    if error := known(arguments, said):
        return error
    what = "docker failed" + "".join(f"\n    {x}" for x in _spoken(said) or ["it gave no reason"])
    return errors.DockerFailed(what, where=arguments, fix="the lines above are Docker's own")


def known(where: str, said: str) -> EvenerError | None:
    """What an engine said, if it is among what we know; of several such lines the last."""
    for each in _KNOWN:
        heard = [x for x in _spoken(said) if re.search(each.pattern, x, re.IGNORECASE)]
        if heard:
            return each.kind(f"{each.what}: {heard[-1]}", where=where, fix=each.fix)
    return None


def _spoken(said: str) -> list[str]:
    lines = [line for line in said.strip().splitlines() if line.strip()]
    return [line for line in lines if not line.startswith(_ADVICE)][-LAST_LINES:]
