"""The file by which `docker compose` runs a job where evener is not installed. Decides only.

The containers are those that `launch.containers` makes. Two more take the place of the terminal:
`start` records that the run begins or goes on, `progress` shows it until it is over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from evener import contract
from evener.launch import yaml_text
from evener.launch.containers import (
    HEAD,
    RESTARTS,
    STOP_S,
    Container,
    Mount,
    Outside,
    cap,
    containers,
    weight,
)  # fmt: skip
from evener.placement import Plan
from evener.rundir.layout import RunDir

FOLDER = "/evener"  # where containers see the folder that compose.yaml is in
RUNS, CACHE, IMAGE, SECRET = "experiments", "cache", "image", "secret"
START, PROGRESS = "start", "progress"
VOLUME = "data"  # as the file calls one
# What another machine may say otherwise, in its shell or in a file .env beside compose.yaml.
UID, GID, DATA, WEIGHTS, READS, GPU = (
    contract.PREFIX + name for name in ("UID", "GID", "DATA", "WEIGHTS", "READS", "GPU")
)
_AFTER_START = f"    depends_on: {{{START}: {{condition: service_completed_successfully}}}}"
_NOT_IN_NAMES = re.compile(r"[^a-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Read:
    """Data of the user's: `source` is where it is on this machine, elsewhere `variable` says."""

    variable: str
    source: str
    target: str

    @property
    def is_volume(self) -> bool:
        return not Path(self.source).is_absolute()


@dataclass(frozen=True, slots=True)
class Project:
    """What Compose calls all that one file starts. `owner` is a uid and a gid."""

    name: str
    run: str
    image: str
    owner: tuple[int, int]
    reads: tuple[Read, ...] = ()


def project_name(run: str, token: str) -> str:
    """As Compose wants names to be; the token keeps two exports of one job apart."""
    return f"evener-{_NOT_IN_NAMES.sub('-', run.lower()).strip('-_') or 'run'}-{token}"


def inside(run: str) -> RunDir:
    """The run's folder as containers see it."""
    return RunDir(Path(f"{FOLDER}/{RUNS}/{run}"))


def render(plan: Plan, project: Project) -> str:
    """The text of compose.yaml."""
    run = inside(project.run)
    head, *machines = containers(plan, run, Outside(project.image, "", f"{FOLDER}/{CACHE}"))
    told = yaml_text.shared([each.env for each in machines])
    limits = yaml_text.shared([_limits(each) for each in machines])
    blocks = [
        _heading(project),
        _every(project, head),
        _machine(machines[0], project, limits),
        ["x-told: &told", *yaml_text.entries(told, 2)],
        ["services:", *_start(run), "", *_head(head)],
        *(_one(each, told, limits) for each in machines),
        _progress(run),
        *([["volumes:", *made]] if (made := volumes(project.reads)) else ()),
        ["secrets:", "  evener:", f"    file: ./{SECRET}"],
    ]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


# ------------------------------------------------------------------------------ blocks


def _heading(project: Project) -> list[str]:
    return [
        f"# Trains {project.run}: `docker compose up`. Ctrl-C stops it with a checkpoint, and the",
        "# next `docker compose up` goes on from there. The README says the rest.",
        "",
        "# Another copy of this folder on the same machine needs a name of its own.",
        f"name: {project.name}",
    ]


def _every(project: Project, head: Container) -> list[str]:
    uid, gid = project.owner
    return [
        "x-every: &every",
        f"  image: {project.image}",
        "  pull_policy: never  # it is built here, from the folder image",
        "  # Whose this folder is: what a run writes is theirs, and nobody else reads the secret.",
        f'  user: "${{{UID}:-{uid}}}:${{{GID}:-{gid}}}"',
        "  # Of a container's files, only those of the folders below can be written.",
        "  read_only: true",
        '  tmpfs: ["/tmp:exec"]',
        f"  volumes: [{', '.join(_volume(m) for m in head.mounts if not _is_secret(m))}]",
        "  secrets: [evener]",
        "  cap_drop: [ALL]",
        '  security_opt: ["no-new-privileges:true"]',
        f"  stop_grace_period: {STOP_S:g}s  # above the time that a last checkpoint takes",
    ]


def _machine(first: Container, project: Project, limits: Mapping[str, str]) -> list[str]:
    mounts = [f"    - {_volume(m)}" for m in first.mounts if not _is_secret(m)]
    return [
        "# A machine of its own: an agent and a rank, which find the others by their names.",
        "x-machine: &machine",
        "  <<: *every",
        f"  command: {yaml_text.command(first.module)}",
        f"  depends_on: [{HEAD}]",
        "  # One that dies comes back, joins the others and takes the state from them.",
        f"  restart: on-failure:{RESTARTS}",
        "  attach: false  # `docker compose logs` shows what ranks print",
        "  volumes:",
        *mounts,
        *(line for read in project.reads for line in _data(read)),
        *yaml_text.lines(limits, 2),
    ]


def volumes(reads: Sequence[Read]) -> list[str]:
    """Those that must be there before: what else would be in them?"""
    return [
        f'  {VOLUME}: {{external: true, name: "${{{read.variable}:-{read.source}}}"}}'
        for read in reads
        if read.is_volume
    ]


def _data(read: Read) -> list[str]:
    if read.is_volume:
        target = yaml_text.scalar(read.target)
        return [
            f"    # A volume with the data in it; another one: {read.variable}=its-name.",
            f"    - {{type: volume, source: {VOLUME}, target: {target}, read_only: true}}",
        ]
    return [
        f"    # Where it is on another machine, say with {read.variable}=/some/path.",
        "    - type: bind",
        f'      source: "${{{read.variable}:-{yaml_text.in_default(read.source)}}}"',
        f"      target: {yaml_text.scalar(read.target)}",
        "      read_only: true",
        "      bind: {create_host_path: false}",
    ]


def _start(run: RunDir) -> list[str]:
    return [
        f"  {START}:  # records that the run begins, or goes on; it ends before the others start",
        "    <<: *every",
        f"    build: ./{IMAGE}",
        f"    command: {yaml_text.command('evener.cli.begin', _posix(run))}",
    ]


def _head(head: Container) -> list[str]:
    return [
        "  # Keeps the record. Its port is for this machine alone, and for who knows the secret.",
        f"  {HEAD}:",
        "    <<: *every",
        f"    command: {yaml_text.command(head.module)}",
        _AFTER_START,
        f"    restart: on-failure:{RESTARTS}",
        "    attach: false",
        f'    ports: ["127.0.0.1::{head.published}"]',
        "    environment:",
        *yaml_text.entries(head.env, 6),
    ]


def _one(machine: Container, told: Mapping[str, str], limits: Mapping[str, str]) -> list[str]:
    own = yaml_text.without(machine.env, told)
    return [
        f"  {machine.alias}:",
        "    <<: *machine",
        *yaml_text.lines(yaml_text.without(_limits(machine), limits), 4),
        "    environment:",
        "      <<: *told",
        *yaml_text.entries(own, 6),
    ]


def _progress(run: RunDir) -> list[str]:
    return [
        f"  {PROGRESS}:  # what `docker compose up` shows; it ends with the run",
        "    <<: *every",
        f"    command: {yaml_text.command('evener.cli.progress', _posix(run))}",
        _AFTER_START,
    ]


def _limits(machine: Container) -> dict[str, str]:
    """Compose's words for what a container may use, and their values as YAML."""
    limits = machine.limits
    if limits is None:
        return {}
    found = {"cpu_shares": str(weight(limits.cpus)), "shm_size": str(limits.shm_bytes)}
    if limits.capped:
        period_us, quota_us = cap(limits.cpus)
        found |= {"cpu_period": str(period_us), "cpu_quota": str(quota_us)}
    if limits.memory_bytes:  # and no more of it by way of the swap
        found |= {"mem_limit": str(limits.memory_bytes), "memswap_limit": str(limits.memory_bytes)}
    if limits.cpu_affinity:
        found["cpuset"] = json.dumps(limits.cpu_affinity)
    if limits.gpus:
        which = machine.alias.removeprefix("machine-").upper().replace("-", "_")
        found["deploy"] = _gpus(f"{GPU}_{which}", limits.gpus)
    return found


def _gpus(variable: str, uuids: Sequence[str]) -> str:
    """These: a count would give several machines the same. Elsewhere variables say which."""
    names = [variable, *(f"{variable}_{number}" for number in range(1, len(uuids)))]
    given = (f'"${{{name}:-{uuid}}}"' for name, uuid in zip(names, uuids, strict=True))
    chosen = f"driver: nvidia, device_ids: [{', '.join(given)}], capabilities: [gpu]"
    return f"{{resources: {{reservations: {{devices: [{{{chosen}}}]}}}}}}"


# ------------------------------------------------------------------------------- words


def _volume(mount: Mount) -> str:
    """By its place in the folder that compose.yaml is in."""
    source = PurePosixPath(mount.source).relative_to(FOLDER)
    return yaml_text.scalar(f"./{source}:{mount.target}{':ro' if mount.read_only else ''}")


def _is_secret(mount: Mount) -> bool:
    return mount.target == contract.SECRET_FILE


def _posix(run: RunDir) -> str:
    return run.path.as_posix()
