"""The machines of a Docker Swarm, as its manager knows them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

from evener import errors
from evener.docker.engine import DESKTOP, Engine

NANO = 10**9
_NO_OVERLAY = "whose overlay network reaches no other machine"
_BY_HAND = "`evener up`, and on others the line that it prints, joins machines without a Swarm"
_ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the Swarm. `why_not` says in words why no rank can be there now."""

    id: str
    name: str
    cpus: float
    memory_bytes: int
    here: bool  # the one that our docker command speaks to
    why_not: str = ""
    gpu_kind: str = ""  # the generic resource that its GPUs are advertised as
    gpus: tuple[str, ...] = ()  # what the engine calls each: a UUID, or nothing but how many
    address: str = ""  # as the Swarm reaches it


@dataclass(frozen=True, slots=True)
class Task:
    """What the Swarm says of one start of a service."""

    service: str
    node: str
    state: str  # "Running", "Rejected", ...
    error: str

    @property
    def failed(self) -> bool:
        return self.state in ("Rejected", "Failed", "Orphaned")


def tasks(engine: Engine, services: Collection[str]) -> Iterator[Task]:
    """All starts that the Swarm remembers."""
    for each in engine.ask("service", "ps", *sorted(services)) if services else ():
        service = each["Name"].rpartition(".")[0].lstrip("\\_ ")
        state = each["CurrentState"].split()[0]
        yield Task(service, each["Node"], state, each["Error"].strip('"'))


def init(engine: Engine, address: str | None = None) -> None:
    """Make this engine the manager of a new Swarm."""
    told = json.loads(engine.call("info", "--format", "{{json .}}"))
    if told.get("OperatingSystem") == DESKTOP:
        raise errors.DockerFailed(
            f"this engine is {DESKTOP}, {_NO_OVERLAY}",
            where="evener swarm init",
            fix=f"{_BY_HAND}; on this one alone: --on docker",
        )
    if (told.get("Swarm") or {}).get("LocalNodeState") == _ACTIVE:
        raise errors.DockerFailed(
            "this machine is in a Swarm already",
            where="evener swarm init",
            fix="`evener swarm join-command` prints the line for others; `docker swarm leave` "
            "takes it out",
        )
    engine.call("swarm", "init", *((f"--advertise-addr={address}",) if address else ()))


def join_command(engine: Engine) -> str:
    """The line that is typed on another machine."""
    told = json.loads(engine.call("info", "--format", "{{json .Swarm}}"))
    _check(told)
    token = engine.call("swarm", "join-token", "--quiet", "worker").strip()
    managers = [str(each["Addr"]) for each in told.get("RemoteManagers") or ()]
    return f"docker swarm join --token {token} {managers[0]}"


def ids(engine: Engine) -> set[str]:
    """What the machines are called. Cheap: asked again and again while a run goes on."""
    return set(engine.call("node", "ls", "--quiet").split())


def nodes(engine: Engine) -> list[Node]:
    """All of them, this one first. Raises where this is no manager of a Swarm."""
    told = json.loads(engine.call("info", "--format", "{{json .Swarm}}"))
    _check(told)
    own = str(told["NodeID"])
    inspected = json.loads(engine.call("node", "inspect", *sorted(ids(engine))))
    built_for = next((_architecture(each) for each in inspected if each["ID"] == own), "")
    found = [_node(each, own, built_for) for each in inspected]
    # Of itself a manager says where it listens: everywhere.
    found = [replace(n, address=str(told["NodeAddr"])) if n.here else n for n in found]
    return sorted(found, key=lambda node: (not node.here, node.name, node.id))


def _check(told: dict[str, Any]) -> None:
    state = str(told.get("LocalNodeState") or "inactive")
    if state != _ACTIVE:
        raise errors.DockerFailed(
            f"this engine is in no Swarm (it says: {state})",
            where="docker info",
            fix="`evener swarm init` makes one here, and prints what joins other machines",
        )
    if not told.get("ControlAvailable"):
        managers = [str(m.get("Addr")) for m in told.get("RemoteManagers") or ()]
        raise errors.DockerFailed(
            "this engine is a worker of its Swarm, and only a manager may start a run",
            where="docker info",
            fix=f"go to a manager ({', '.join(managers) or 'docker node ls there lists them'}), "
            "or have this one promoted there: docker node promote",
        )


def _node(told: dict[str, Any], own: str, built_for: str = "") -> Node:
    """`built_for` is the processor of where images are built."""
    described, spec, status = told["Description"], told["Spec"], told["Status"]
    resources = described.get("Resources") or {}
    kind, gpus = _gpus(resources)
    return Node(
        id=str(told["ID"]),
        name=str(described.get("Hostname") or told["ID"]),
        cpus=float(resources.get("NanoCPUs") or 0) / NANO,
        memory_bytes=int(resources.get("MemoryBytes") or 0),
        here=told["ID"] == own,
        why_not=_why_not(described, spec, status) or _unlike(_architecture(told), built_for),
        gpu_kind=kind,
        gpus=gpus,
        address=str(status.get("Addr") or ""),
    )


def _architecture(told: dict[str, Any]) -> str:
    return str((told["Description"].get("Platform") or {}).get("Architecture") or "")


def _unlike(architecture: str, built_for: str) -> str:
    if not architecture or not built_for or architecture == built_for:
        return ""
    return f"its processor is {architecture}, and the image is built here for {built_for}"


def _gpus(resources: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Of the generic resources the first kind that is called after GPUs, and those of it."""
    found: dict[str, list[str]] = {}
    for each in resources.get("GenericResources") or ():
        for named in filter(None, [each.get("NamedResourceSpec")]):
            found.setdefault(str(named["Kind"]), []).append(str(named["Value"]))
        for counted in filter(None, [each.get("DiscreteResourceSpec")]):
            found.setdefault(str(counted["Kind"]), []).extend([""] * int(counted["Value"]))
    kind = next((kind for kind in found if "gpu" in kind.lower()), "")
    return kind, tuple(found.get(kind, ()))


def _why_not(described: dict[str, Any], spec: dict[str, Any], status: dict[str, Any]) -> str:
    if status.get("State") != "ready":
        return f"it is {status.get('State')}"
    if spec.get("Availability") != _ACTIVE:
        return f"it is set to {spec.get('Availability')}"
    system = (described.get("Platform") or {}).get("OS")
    if system != "linux":
        return f"it runs {system} containers"
    engine = str((described.get("Engine") or {}).get("EngineVersion") or "")
    if "desktop" in engine or str(described.get("Hostname")) == "docker-desktop":
        return f"it is {DESKTOP}, {_NO_OVERLAY} ({_BY_HAND})"
    return ""
