"""The containers of a run, as records and as the `docker run` that starts each. Decides only.

Every container is a machine of its own: its share of the processors, its GPU, its address in a
network that only this run has. None runs as root, none can write anything but the run's folder,
the cache and its own /tmp, and the secret comes in a file, where `docker inspect` does not show it.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evener import contract
from evener.contract import AGENT_PORT, EVERYWHERE, HEAD_PORT, AgentEnv, HeadEnv
from evener.placement import AgentPlan, Limits, Plan
from evener.rundir.layout import RunDir

HEAD = "head"
ADOPTED = "adopted"  # among the configs of a run that was
STOP_S = 60  # above the time that a last checkpoint takes
PERIOD_US, LEAST_QUOTA_US, LONGEST_PERIOD_US = 10_000, 1_000, 1_000_000
RESTARTS = 5
_ID_DIGITS = 8
_PUBLISH = "--publish=127.0.0.1:"


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or folder of this machine, or a volume of its engine, at `target` in a container."""

    source: str
    target: str
    read_only: bool = True


@dataclass(frozen=True, slots=True)
class Outside:
    """What the containers of a run get from the machine they are on."""

    image: str
    user: str  # uid:gid of the caller: what ranks write is the caller's; "" where there is none
    cache: str
    reads: tuple[Mount, ...] = ()  # data
    userns: str = ""  # which user namespace, where it is not the engine's own choice
    port: int = 0  # of 127.0.0.1, for the head; 0: the engine chooses


@dataclass(frozen=True, slots=True)
class Container:
    """One container. `name` is unique on the engine, `alias` in the run's network."""

    name: str
    alias: str
    role: str  # "head", "agent a00"
    module: str
    env: Mapping[str, str]
    mounts: tuple[Mount, ...]
    limits: Limits | None = None
    published: int | None = None  # on 127.0.0.1
    other_alias: str = ""  # its own system knows it by the first as itself alone


def identity(run: RunDir) -> str:
    """What all of the run's objects are labelled with: its folder, in a form that fits anywhere;
    of a run that another machine has adopted, that of the folder where it began."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return (run.configs / ADOPTED).read_text(encoding="utf-8")
    return hashlib.sha256(str(run.path.resolve()).encode()).hexdigest()[:_ID_DIGITS]


def label(run: RunDir) -> str:
    return f"{contract.LABEL_RUN}={identity(run)}"


def label_filter(run: RunDir) -> str:
    """The option of a listing by which it is only of the run's objects."""
    return f"--filter=label={label(run)}"


def network(run: RunDir) -> str:
    return f"evener-{run.name}-{identity(run)}"


def containers(plan: Plan, run: RunDir, outside: Outside) -> tuple[Container, ...]:
    """The head's first: agents look for it."""
    folder = str(run.path.resolve())
    head = HeadEnv(folder, "", listen=f"{EVERYWHERE}:{HEAD_PORT}", expected_agents=len(plan.agents))
    mounts = (
        Mount(folder, folder, read_only=False),
        Mount(str(run.secret_file.resolve()), contract.SECRET_FILE),
    )
    own = Container(
        name=f"{network(run)}-{HEAD}",
        alias=HEAD,
        role=HEAD,
        module="evener.head",
        env=_environment(head),
        mounts=mounts,
        published=HEAD_PORT,
    )
    cache = Mount(outside.cache, contract.IMAGE_CACHE, read_only=False)
    inside = (*mounts, cache, *outside.reads)
    return (own, *(_agent(a, plan, run, inside) for a in plan.agents))


def _agent(agent: AgentPlan, plan: Plan, run: RunDir, mounts: tuple[Mount, ...]) -> Container:
    peers = (f"{a.agent}={a.machine}:{AGENT_PORT}" for a in plan.agents if a is not agent)
    told = AgentEnv(
        run_dir=str(run.path.resolve()),
        secret="",
        agent=agent.agent,
        first_rank=min(r.rank for r in agent.ranks),
        ranks=len(agent.ranks),
        head=f"{HEAD}:{HEAD_PORT}",
        listen=f":{AGENT_PORT}",
        peers=",".join(peers),
        expected_agents=len(plan.agents),
        revived=1,
    )
    return Container(
        name=f"{network(run)}-{agent.machine}",
        alias=agent.machine,
        role=f"agent {agent.agent}",
        module="evener.agent",
        env=_environment(told) | {contract.CACHE_VARIABLE: contract.IMAGE_CACHE},
        mounts=mounts,
        limits=agent.limits,
    )


def _environment(told: AgentEnv | HeadEnv) -> dict[str, str]:
    env = contract.to_environ(told)
    del env[contract.PREFIX + "SECRET"]
    return env | {contract.SECRET_VARIABLE: contract.SECRET_FILE}


def user_inside(caller: str, security: Sequence[str]) -> tuple[str, str]:
    """As whom a container runs, and in which user namespace, so that its files are the caller's.

    `security` is what the engine says of itself. A rootless one maps its root to the caller; one
    that maps users to others must not do so here: what it writes would be nobody's.
    """
    if "name=rootless" in security:
        return "0:0", ""
    return caller, "host" if "name=userns" in security else ""


def network_command(run: RunDir) -> tuple[str, ...]:
    return ("network", "create", f"--label={label(run)}", network(run))


def run_command(container: Container, run: RunDir, outside: Outside) -> tuple[str, ...]:
    """What follows `docker` to start it in the background."""
    return (
        *("run", "--detach", f"--name={container.name}", f"--hostname={container.alias}"),
        f"--network={network(run)}",
        *(f"--network-alias={a}" for a in (container.alias, container.other_alias) if a),
        f"--label={label(run)}",
        f"--label={contract.LABEL_ROLE}={container.role}",
        *((f"--user={outside.user}",) if outside.user else ()),
        *((f"--userns={outside.userns}",) if outside.userns else ()),
        *("--read-only", "--tmpfs=/tmp:exec", "--cap-drop=ALL"),
        "--security-opt=no-new-privileges",
        *(f"--restart=on-failure:{RESTARTS}", f"--stop-signal={contract.AWAY_SIGNAL}"),
        f"--stop-timeout={STOP_S}",
        *_limits(container.limits),
        *_published(container, outside.port),
        *(mount_option(mount) for mount in container.mounts),
        *(f"--env={name}={value}" for name, value in sorted(container.env.items())),
        *(outside.image, "python", "-P", "-m", container.module),
    )


def _published(container: Container, port: int) -> tuple[str, ...]:
    if container.published is None:
        return ()
    return (f"{_PUBLISH}{port or ''}:{container.published}",)


def at_any_port(arguments: Sequence[str]) -> tuple[str, ...]:
    """The same `docker run`, at a port that the engine chooses."""
    return tuple(
        f"{_PUBLISH}:{a.rpartition(':')[2]}" if a.startswith(_PUBLISH) else a for a in arguments
    )


def weight(cpus: float) -> int:
    """In shares of the processors. A cap instead would stop a rank whenever its agent has used
    some of its time; it is for who asks for one."""
    return max(round(1024 * cpus), 2)


def cap(cpus: float) -> tuple[int, int]:
    """Period and quota of a cap. Who has used its quota up stands still for the rest of a period,
    and all ranks with it: so that is short, but leaves the least that a kernel deals out."""
    period_us = min(max(PERIOD_US, math.ceil(LEAST_QUOTA_US / cpus)), LONGEST_PERIOD_US)
    return period_us, max(round(cpus * period_us), LEAST_QUOTA_US)


def _limits(limits: Limits | None) -> tuple[str, ...]:
    if limits is None:
        return ()
    given = [f"--cpu-shares={weight(limits.cpus)}", f"--shm-size={limits.shm_bytes}"]
    if limits.capped:
        period_us, quota_us = cap(limits.cpus)
        given += [f"--cpu-period={period_us}", f"--cpu-quota={quota_us}"]
    if limits.memory_bytes:  # and no more of it by way of the swap
        given += [f"--memory={limits.memory_bytes}", f"--memory-swap={limits.memory_bytes}"]
    if limits.cpu_affinity:
        given.append(f"--cpuset-cpus={limits.cpu_affinity}")
    if limits.gpus:  # docker reads a list of values here: quotes keep the UUIDs together
        given.append(f'--gpus="device={",".join(limits.gpus)}"')
    return tuple(given)


def mount_option(mount: Mount) -> str:
    end = ("readonly",) if mount.read_only else ()
    kind = "bind" if mount.source.startswith("/") else "volume"
    fields = (f"type={kind}", f"source={mount.source}", f"target={mount.target}", *end)
    return "--mount=" + ",".join(map(_field, fields))


def _field(text: str) -> str:
    """Docker reads a mount as a line of CSV, and folders may have commas in their names."""
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"') else text
