"""The services of a run on a Docker Swarm, and the `docker service create` of each. Decides only.

The head is a container on the manager that the run was started on, with the run's folder, and its
page for that machine alone. Every agent is a service, held to its machine, with a copy of the
folder that goes with it: what it needs it fetches from the head, what it writes it brings there.
None runs as root, and all of them meet in an overlay network that only this run has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from evener import contract
from evener.launch import containers
from evener.launch.containers import RESTARTS, STOP_S, Container, Mount, Outside, identity, network
from evener.placement import Limits, Plan
from evener.rundir.layout import RunDir

OVERLAY_BYTES = 50  # an overlay's own headers, in each packet
NOBODY = "65534:65534"  # files of a service are its own; who has this number owns nothing else
TMP_BYTES = 2**30
HEADS = "heads"  # the name in its network of whatever was a run's head
ADOPTION = "adoption"  # of a run that has lost its home
MTU_OPTION = "com.docker.network.driver.mtu"


@dataclass(frozen=True, slots=True)
class Service:
    """An agent on a machine of the Swarm. `alias` is its name in the run's network."""

    name: str
    alias: str
    role: str
    module: str
    env: Mapping[str, str]
    node: str
    shm_bytes: int
    reads: tuple[Mount, ...]
    gpus: tuple[str, int] = ("", 0)  # the generic resource, and how many of it


def secret(run: RunDir) -> str:
    return f"evener-{identity(run)}"


def name_of(run: RunDir, machine: str) -> str:
    """Of its service."""
    return f"evener-{identity(run)}-{machine}"


def head_of(plan: Plan, run: RunDir, outside: Outside) -> Container:
    return containers.containers(plan, run, outside)[0]


def watchful_head_of(plan: Plan, run: RunDir, outside: Outside) -> Container:
    """It looks whether another manager has adopted the run."""
    head = head_of(plan, run, outside)
    alias = {f"{contract.PREFIX}ALIAS": f"{HEADS}:{contract.HEAD_PORT}"}
    return replace(head, env={**head.env, **alias}, other_alias=HEADS)


def services(
    plan: Plan, run: RunDir, outside: Outside, *, reserve: bool = True
) -> Iterator[Service]:
    """GPUs are named to NVIDIA's toolkit in any case."""
    inside = RunDir(Path(contract.IMAGE_RUNS) / run.name)
    made = containers.containers(plan, inside, outside)[1:]
    apart = {contract.PREFIX + "APART": "1", contract.PREFIX + "RUN_DIR": inside.path.as_posix()}
    for agent, each in zip(plan.agents, made, strict=True):
        yield Service(
            name=name_of(run, each.alias),
            alias=each.alias,
            role=each.role,
            module=each.module,
            env={**each.env, **apart, **_which(each.limits)},
            node=agent.node,
            shm_bytes=each.limits.shm_bytes if each.limits else 0,
            reads=outside.reads,
            gpus=_reserved(each.limits) if reserve else ("", 0),
        )


def _reserved(limits: Limits | None) -> tuple[str, int]:
    return (limits.gpu_kind, len(limits.gpus)) if limits else ("", 0)


def _which(limits: Limits | None) -> dict[str, str]:
    """By name as well: not every version of NVIDIA's toolkit heeds what Swarm has assigned, and
    then a container sees none of the GPUs, or all. A machine's own are all given to its agent."""
    if limits is None or not limits.gpus:
        return {}
    return {
        "NVIDIA_VISIBLE_DEVICES": ",".join(limits.gpus) if all(limits.gpus) else "all",
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
    }


def mtu(plan: Plan) -> int:
    """Of the run's network: what passes between its machines, less what it adds itself."""
    return plan.packet_bytes - OVERLAY_BYTES


def network_command(run: RunDir, mtu: int) -> tuple[str, ...]:
    """Attachable: the head is no service."""
    create, *rest = containers.network_command(run)[1:]
    size = f"--opt={MTU_OPTION}={mtu}"
    return ("network", create, "--driver=overlay", "--attachable", size, *rest)


def secret_command(run: RunDir) -> tuple[str, ...]:
    label = f"--label={containers.label(run)}"
    return ("secret", "create", label, secret(run), str(run.secret_file.resolve()))


def adoption_command(
    run: RunDir, node: str, outside: Outside, env: Mapping[str, str]
) -> tuple[str, ...]:
    """What follows `docker` to have a task on this manager fetch what its folder lacks: only a
    service gets the run's secret."""
    label = containers.label(run)
    own = (
        Mount(str(run.path.resolve()), str(run.path.resolve()), read_only=False),
        Mount(outside.cache, contract.IMAGE_CACHE, read_only=False),
    )
    return (
        *("service", "create", "--detach", "--no-resolve-image", "--with-registry-auth"),
        *("--mode=replicated-job", f"--name={name_of(run, ADOPTION)}"),
        *(f"--constraint=node.id=={node}", f"--network={network(run)}"),
        *(f"--label={label}", f"--container-label={label}"),
        *((f"--user={outside.user}",) if outside.user else ()),
        *("--read-only", "--cap-drop=ALL", "--restart-condition=none"),
        f"--secret=source={secret(run)},target={contract.SECRET_FILE.rpartition('/')[2]}",
        f"--mount=type=tmpfs,target=/tmp,tmpfs-size={TMP_BYTES},tmpfs-mode=1777",
        *(containers.mount_option(mount) for mount in own),
        *(f"--env={name}={value}" for name, value in sorted(env.items())),
        *(outside.image, "python", "-P", "-m", "evener.agent.adoption"),
    )


def service_command(service: Service, run: RunDir, image: str) -> tuple[str, ...]:
    """What follows `docker` to create it."""
    label = containers.label(run)
    role = f"{contract.LABEL_ROLE}={service.role}"
    kind, count = service.gpus
    return (
        *("service", "create", "--detach", "--no-resolve-image", "--with-registry-auth"),
        f"--name={service.name}",
        *(f"--hostname={service.alias}", f"--constraint=node.id=={service.node}"),
        *(f"--network=name={network(run)},alias={service.alias}", "--endpoint-mode=dnsrr"),
        *(f"--label={label}", f"--container-label={label}", f"--container-label={role}"),
        *(f"--user={NOBODY}", "--read-only", "--cap-drop=ALL"),
        *("--restart-condition=on-failure", f"--restart-max-attempts={RESTARTS}"),
        *("--restart-window=10m", "--restart-delay=1s"),
        f"--stop-signal={contract.AWAY_SIGNAL}",
        f"--stop-grace-period={STOP_S}s",
        f"--secret=source={secret(run)},target={contract.SECRET_FILE.rpartition('/')[2]}",
        f"--mount=type=tmpfs,target=/tmp,tmpfs-size={TMP_BYTES},tmpfs-mode=1777",
        f"--mount=type=tmpfs,target=/dev/shm,tmpfs-size={service.shm_bytes},tmpfs-mode=1777",
        f"--mount=type=volume,target={contract.IMAGE_RUNS}",
        f"--mount=type=volume,target={contract.IMAGE_CACHE}",
        *(containers.mount_option(mount) for mount in service.reads),
        *((f"--generic-resource={kind}={count}",) if count else ()),
        *(f"--env={name}={value}" for name, value in sorted(service.env.items())),
        *(image, "python", "-P", "-m", service.module),
    )
