"""What crosses from the host wing into a process of a run: environment, ports, paths, labels.

The only reader of `os.environ`. A process is told everything it must know by the variables
below; nobody types them. Secrets travel here and never in an argument list.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar

PREFIX = "EVENER_"
RUN_DIR_DEFAULT = Path("experiments")
LOOPBACK = "127.0.0.1"
CACHE_VARIABLE = PREFIX + "CACHE"  # a person's own: where downloads are kept

# Names inside a run's folder: rundir gives them meaning, containers mount them.
DB_NAME = "run.db"
CONFIGS, LOGS, CHECKPOINTS = "configs", "logs", "checkpoints"
JOB_NAME, PLAN_NAME, HANDLE_NAME = "job.json", "plan.json", "handle.json"
EXPORT_NAME = "model.safetensors"


@dataclass(frozen=True, slots=True)
class AgentEnv:
    """What one agent is told. `first_rank` makes its ranks' numbers unique in the run.

    It answers its ranks and other agents on the inherited socket `fd`, or on `listen` where `fd`
    is -1.
    """

    run_dir: str
    secret: str
    agent: str  # its id; the lowest id alive leads
    first_rank: int
    ranks: int
    head: str  # host:port of the head's intake
    fd: int = -1
    listen: str = LOOPBACK + ":0"
    peers: str = ""  # "id=host:port,..." of the agents known at the start
    expected_agents: int = 1


@dataclass(frozen=True, slots=True)
class RankEnv:
    """What one rank process is told: whom to call. All else comes over that connection."""

    run_dir: str
    secret: str
    agent: str
    agent_address: str


@dataclass(frozen=True, slots=True)
class HeadEnv:
    """What the head is told. It listens on an inherited socket where `fd` is not -1."""

    run_dir: str
    secret: str
    fd: int = -1
    listen: str = LOOPBACK + ":0"
    expected_agents: int = 1


Told = TypeVar("Told", AgentEnv, RankEnv, HeadEnv)


def to_environ(record: AgentEnv | RankEnv | HeadEnv) -> dict[str, str]:
    """The variables that carry `record` into a child process."""
    return {PREFIX + f.name.upper(): str(getattr(record, f.name)) for f in fields(record)}


def from_environ(kind: type[Told], environ: Mapping[str, str] | None = None) -> Told:
    """Read `kind` back; a missing variable without a default is a defect of the launcher."""
    source = os.environ if environ is None else environ
    found: dict[str, object] = {}
    for f in fields(kind):
        text = source.get(PREFIX + f.name.upper())
        if text is None:
            continue
        found[f.name] = int(text) if str(f.type) == "int" else text
    return kind(**found)  # type: ignore[arg-type]  # fields() and the cast keep the types


def inherited_environ() -> dict[str, str]:
    """This process's environment without evener's own variables: what a child starts from.

    What a person set for all of their runs stays.
    """
    kept = (k for k in os.environ if k == CACHE_VARIABLE or not k.startswith(PREFIX))
    return {k: os.environ[k] for k in kept}


def user_variable(name: str) -> str | None:
    """A variable that is not ours but that a person may set (proxies, NO_COLOR, COLUMNS)."""
    return os.environ.get(name)


def module_path(folders: tuple[str, ...]) -> dict[str, str]:
    """The variable by which a child finds the user's modules: `folders`, then what was set."""
    if not folders:
        return {}
    inherited = filter(None, [os.environ.get("PYTHONPATH")])
    return {"PYTHONPATH": os.pathsep.join([*folders, *inherited])}
