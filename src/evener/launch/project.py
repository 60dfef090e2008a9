"""Runs that `docker compose` or `docker stack deploy` started, from a folder that was exported.
They are looked at here, and stopped; never started.

Inside of the project's network a run is alive where one of its containers answers. Outside, the
engine says whether they run; where no engine answers, they count as gone after a while.
"""

from __future__ import annotations

import contextlib
import math
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from evener import contract, errors, placement
from evener.docker import Engine
from evener.launch.base import Handle, HeadPlace, Rendered
from evener.launch.compose import PROGRESS, SECRET, START
from evener.launch.containers import HEAD
from evener.placement import Plan
from evener.rundir import layout
from evener.rundir.layout import RunDir
from evener.wire import names

PLACE, STACK = "compose", "stack"
FILE = "compose.json"  # beside the plan: what Compose calls the run's containers
VERSION = 1
LOOK_S = 1.0
ANSWER_S = 2.0
START_S = 60.0  # from the first look to the first answer: a cold disk reads libraries slowly
AWAY_S = 60.0  # a restarted engine with many containers is back before
_AGAIN_S = 0.3  # two signals at once would arrive as one


@dataclass(frozen=True, slots=True)
class ComposeLauncher:
    """Whoever has the folder and the engine can look and stop; starting is Compose's."""

    engine: Engine = field(default_factory=Engine)
    vanished_s: float = 20.0  # an engine that comes back starts its containers one by one
    _looks: dict[Path, tuple[float, bool]] = field(default_factory=dict)
    _first: dict[Path, float] = field(default_factory=dict)

    def render(self, plan: Plan, run: RunDir) -> Rendered:
        raise not_ours(run)

    def provide(self) -> None:
        """Compose builds the image."""

    def start(self, rendered: Rendered) -> Handle:
        raise not_ours(rendered.run)

    def stop(self, run: RunDir, *, now: bool) -> None:
        """Agents only: the head hears the end from them, and ends by itself."""
        self._ask_to_stop(run)
        if now:
            time.sleep(_AGAIN_S)
            self._ask_to_stop(run)

    def alive(self, run: RunDir) -> bool:
        """The last answer stands for a moment; one that is awaited for the first time, longer."""
        now = time.monotonic()
        first = self._first.setdefault(run.path, now)
        looked_at, answer = self._looks.get(run.path, (-math.inf, False))
        if now - looked_at < LOOK_S:
            return answer
        if is_inside():
            there = answers(run)
            starting = run.path not in self._looks and now - first < START_S
            if starting and not there:
                return True
        else:
            try:
                there = bool(self._running(run))
            except errors.MachineError:
                return answer and now - looked_at < AWAY_S
        self._looks[run.path] = (time.monotonic(), there)
        return there

    def head(self, run: RunDir) -> HeadPlace | None:
        """By its name, or at the port that the engine has published for it."""
        try:
            if is_inside():
                told = Path(contract.SECRET_FILE).read_text(encoding="utf-8").strip()
                return HeadPlace(f"{HEAD}:{contract.HEAD_PORT}", told)
            secret = (run.path.parent.parent / SECRET).read_text(encoding="utf-8").strip()
            name = project_of(run)
            ask = ("port", f"{name}-{HEAD}-1", f"{contract.HEAD_PORT}/tcp")
            said = self.engine.call(*ask).split() if name else []
        except (errors.EvenerError, OSError):
            return None
        return HeadPlace(said[0], secret) if said else None

    def clean(self, run: RunDir) -> None:
        """`docker compose down` does."""

    def _ask_to_stop(self, run: RunDir) -> None:
        machines = [i for i, service in self._running(run).items() if service != HEAD]
        if machines:
            with contextlib.suppress(errors.DockerFailed):  # one ended by itself meanwhile
                self.engine.call("kill", "--signal=INT", *machines)

    def _running(self, run: RunDir) -> dict[str, str]:
        """The services that train, by the identity of their containers."""
        name = project_of(run)
        if not name:
            return {}
        label = f"label=com.docker.compose.project={name}"
        found = self.engine.ask("ps", "--filter", label)
        services = {c["ID"]: c["Names"].removeprefix(f"{name}-").rpartition("-")[0] for c in found}
        return {i: s for i, s in services.items() if s not in (START, PROGRESS)}


def is_inside() -> bool:
    """Whether this process is in a container of a run."""
    return Path(contract.SECRET_FILE).is_file()


def answers(run: RunDir) -> bool:
    """Whether the head or an agent of the run takes a call, from inside of its network."""
    plan = placement.from_dict(layout.read_json(run.plan_file))
    doors = [(HEAD, contract.HEAD_PORT), *((a.machine, contract.AGENT_PORT) for a in plan.agents)]
    if _opens(doors[0]):
        return True
    with ThreadPoolExecutor(len(doors)) as others:  # each says so late that nobody is there
        return any(others.map(_opens, doors[1:]))


def project_of(run: RunDir) -> str:
    """What Compose calls the run's project; empty where nothing says it."""
    file = run.configs / FILE
    return str(layout.read_json(file).get("project", "")) if file.is_file() else ""


def not_ours(run: RunDir) -> errors.BadCommand:
    return errors.BadCommand(
        f"{run.name} is trained by docker compose: evener does not start it",
        where=str(run.path),
        fix=f"`docker compose up` in {run.path.parent.parent}; or go on with --on local",
    )


def _opens(door: tuple[str, int]) -> bool:
    try:
        names.need(*door)
        socket.create_connection(door, ANSWER_S).close()
        return True
    except OSError:
        return False
