"""What crosses from the host wing into a process of a run: environment, ports, paths, labels.

The only reader of `os.environ`. A process is told everything it must know by the variables
below; nobody types them. Secrets travel here, or in a file that is named here, and never in an
argument list.
"""

from __future__ import annotations

import hmac
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar

PREFIX = "EVENER_"
RUN_DIR_DEFAULT = Path("experiments")
LOOPBACK = "127.0.0.1"
# Inside a container.
EVERYWHERE = "0.0.0.0"  # all of its addresses; what may reach them its network says
HEAD_PORT, AGENT_PORT = 7070, 7071
IMAGE_SITE, IMAGE_CODE = "/opt/evener-site", "/opt/evener-code"
IMAGE_RUNS = "/var/lib/evener"  # of a container that is apart: its own copy of the run's folder
IMAGE_CACHE, SECRET_FILE = "/var/cache/evener", "/run/secrets/evener"
# What Docker's own objects are found by.
LABEL_IMAGE, LABEL_STAGE = "dev.evener.image", "dev.evener.stage"
LABEL_RUN, LABEL_ROLE = "dev.evener.run", "dev.evener.role"
SECRET_VARIABLE = PREFIX + "SECRET_FILE"  # in place of the secret: who may read the file
SCRIPT_VARIABLE = PREFIX + "SCRIPT"  # whose run a torchrun script's processes are of
MESH_VARIABLE = PREFIX + "MESH"  # where the container beside this one keeps the mesh of both
CACHE_VARIABLE = PREFIX + "CACHE"  # a person's own: where downloads are kept

# An engine that goes away, to be back, sends this to a container; who ends with that status is
# started again. A user's stop is another signal.
AWAY_SIGNAL, AWAY_STATUS = "SIGPWR", 75

# An agent asks a rank with it to write into its log where all its threads are.
STACK_SIGNAL = "SIGQUIT"
# What makes a script's process one that waits, warm, until it is told its place.
WARM = "--warm"

# Names inside a run's folder: rundir gives them meaning, containers mount them.
DB_NAME = "run.db"
CONFIGS, LOGS, CHECKPOINTS, TENSORBOARD = "configs", "logs", "checkpoints", "tensorboard"
CARGO, CODE = "cargo", "code"  # what travels to machines with disks of their own; unpacked there
JOB_NAME, PLAN_NAME, HANDLE_NAME = "job.json", "plan.json", "handle.json"
SECRET_NAME = "secret"
EXPORT_NAME = "model.safetensors"
WORK, CODE_NAME = "work", "code.tar.gz"  # where a script runs, and how it gets there
PROFILES_NAME = "profiles.json"


@dataclass(frozen=True, slots=True)
class AgentEnv:
    """What one agent is told. `first_rank` makes its ranks' numbers unique in the run.

    It answers its ranks and other agents on the inherited socket `fd`, or on `listen` where `fd`
    is -1. Where that names a port alone, it is the port of whichever address faces the head.
    """

    run_dir: str
    secret: str
    agent: str  # its id; the lowest id alive leads
    first_rank: int
    ranks: int
    head: str  # host:port of the head's intake; in a pool https://host:port/path#fingerprint
    fd: int = -1
    listen: str = LOOPBACK + ":0"
    peers: str = ""  # "id=host:port,..." of the agents known at the start
    expected_agents: int = 1
    revived: int = 0  # 1 where an engine starts it again as long as its status is not 0
    hosts: int = 0  # 1 where it may start the head again: the run's folder is on its own disk
    apart: int = 0  # 1 where that folder is on another machine, the head's: all comes from there
    owned: int = 0  # 1 where it ends with whoever has started it


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
    of_agent: int = 0  # 1 where an agent has started it: it ends with that
    alias: str = ""  # host:port of the run's head, where that may be on another machine by now


Told = TypeVar("Told", AgentEnv, RankEnv, HeadEnv)


def to_environ(record: AgentEnv | RankEnv | HeadEnv) -> dict[str, str]:
    """The variables that carry `record` into a child process: all that is not as usual."""
    told = ((f, getattr(record, f.name)) for f in fields(record))
    return {PREFIX + f.name.upper(): str(value) for f, value in told if value != f.default}


def from_environ(kind: type[Told], environ: Mapping[str, str] | None = None) -> Told:
    """Read `kind` back; a missing variable without a default is a defect of the launcher."""
    source = os.environ if environ is None else environ
    found: dict[str, object] = {}
    for f in fields(kind):
        text = source.get(PREFIX + f.name.upper())
        if text is None and f.name == "secret" and SECRET_VARIABLE in source:
            text = Path(source[SECRET_VARIABLE]).read_text(encoding="utf-8").strip()
        if text is None:
            continue
        found[f.name] = int(text) if str(f.type) == "int" else text
    return kind(**found)  # type: ignore[arg-type]  # fields() and the cast keep the types


def put_into_environ(told: Mapping[str, str]) -> None:
    """For what runs in this process from now on."""
    os.environ.update(told)


def inherited_environ() -> dict[str, str]:
    """This process's environment without evener's own variables: what a child starts from.

    What a person set for all of their runs stays.
    """
    kept = (k for k in os.environ if k == CACHE_VARIABLE or not k.startswith(PREFIX))
    return {k: os.environ[k] for k in kept}


def user_variable(name: str) -> str | None:
    """A variable that is not ours but that a person may set (proxies, NO_COLOR, COLUMNS)."""
    return os.environ.get(name)


def cache_folder() -> Path:
    """$EVENER_CACHE, or the place where this system keeps what can be made again."""
    own = user_variable(CACHE_VARIABLE)
    if own:
        return Path(own).expanduser().absolute()
    if sys.platform == "win32":
        local = user_variable("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData/Local") / "evener" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/evener"
    xdg = user_variable("XDG_CACHE_HOME")
    return (Path(xdg) if xdg else Path.home() / ".cache") / "evener"


def state_folder() -> Path:
    """Where this system keeps what a person would miss: which pool this machine is in."""
    if sys.platform == "win32":
        local = user_variable("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData/Local") / "evener" / "state"
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support/evener"
    xdg = user_variable("XDG_STATE_HOME")
    return (Path(xdg) if xdg else Path.home() / ".local/state") / "evener"


def module_path(folders: tuple[str, ...]) -> dict[str, str]:
    """The variable by which a child finds the user's modules: `folders`, then what was set."""
    if not folders:
        return {}
    inherited = filter(None, [os.environ.get("PYTHONPATH")])
    return {"PYTHONPATH": os.pathsep.join([*folders, *inherited])}


def page_key(secret: str) -> str:
    """What opens the pages of a run with this secret. It lets nobody speak as an agent."""
    return hmac.new(secret.encode(), b"evener page", "sha256").hexdigest()[:32]


def page_address(head: str, secret: str) -> str:
    """What a person opens in a browser to see the run whose head answers at `head`."""
    return f"http://{head}/?key={page_key(secret)}"
