"""A run of a Swarm whose manager is gone gets a home on another manager: a folder, with a head.

Its services say how it was started; who stands in for its head has all else, and a task on this
machine fetches that, for only services get the run's secret. From then on it is as if it had been
started here.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evener import contract, errors
from evener.docker import Engine, swarm
from evener.launch import containers, services
from evener.launch.containers import ADOPTED
from evener.launch.services import ADOPTION
from evener.launch.swarm import SwarmLauncher
from evener.rundir import freight, layout
from evener.rundir.layout import RunDir

FETCH_S = 120.0
_POLL_S = 0.5
_WORDS = 12  # lines of a task that failed
_PREFIX = "evener-"
_ENV = contract.PREFIX


def adopt(name: str, root: Path, note: Callable[[str], None], engine: Engine) -> RunDir:
    """The run of that name, which goes on in the Swarm of this manager, in a folder under `root`.

    Raises RunNotFound, RunActive where it has a home, StartFailed where it is not to be had.
    """
    here = next(node for node in swarm.nodes(engine) if node.here)
    identity, found = _services(engine, name)
    run = RunDir(root / name)
    if run.path.exists():
        raise errors.RunActive(
            f"there is a folder of a run called {name} here already",
            where=str(run.path),
            fix="if it is this run's, `evener status` shows it; else say another place with --dir",
        )
    run.create()
    try:
        layout.write_atomic(run.configs / ADOPTED, identity)
        _fetch(engine, run, here.id, found)
        freight.adopt(run, _note_down(engine, run))
        note("what the others have of it is here; its head is started")
        SwarmLauncher(note=note, engine=engine).take_in(run)
    except BaseException:
        shutil.rmtree(run.path, ignore_errors=True)
        raise
    return run


def _services(engine: Engine, name: str) -> tuple[str, list[dict[str, Any]]]:
    """What the run's objects are labelled with, and what its agents' services are made of."""
    networks = engine.ask("network", "ls", f"--filter=label={contract.LABEL_RUN}")
    known = {n["Name"]: n["Name"].rpartition("-")[2] for n in networks if n["Driver"] == "overlay"}
    own = [i for full, i in known.items() if full == f"{_PREFIX}{name}-{i}"]
    others = sorted({full[len(_PREFIX) :].rpartition("-")[0] for full in known})
    if len(own) != 1:
        raise errors.RunNotFound(
            f"{len(own) or 'no'} runs called {name} go on in this Swarm",
            where="docker network ls",
            fix=f"these do: {', '.join(others)}" if others else "none does",
        )
    filters = f"--filter=label={contract.LABEL_RUN}={own[0]}"
    ids = [s["ID"] for s in engine.ask("service", "ls", filters, short=True)]
    return own[0], json.loads(engine.call("service", "inspect", *ids)) if ids else []


def _note_down(engine: Engine, run: RunDir) -> int:
    """In the Swarm, that the run has a new home, and how many that makes."""
    times = 1 + len(engine.ask("config", "ls", containers.label_filter(run), short=True))
    label = f"--label={containers.label(run)}"
    name = services.name_of(run, f"home-{times}")
    engine.call("config", "create", label, name, str(run.configs / ADOPTED))
    return times


def _fetch(engine: Engine, run: RunDir, node: str, found: list[dict[str, Any]]) -> None:
    specs = [s["Spec"]["TaskTemplate"]["ContainerSpec"] for s in found]
    environs = [dict(pair.split("=", 1) for pair in spec.get("Env", ())) for spec in specs]
    agents = [e for e in environs if f"{_ENV}AGENT" in e]
    if not agents:
        raise errors.StartFailed(
            "none of its agents is left in the Swarm",
            where=containers.network(run),
            fix="its checkpoints are in volumes of the machines that trained: docker volume ls",
        )
    peers = {p for e in agents for p in e.get(f"{_ENV}PEERS", "").split(",") if p}
    outside = SwarmLauncher(engine=engine).outside(specs[0]["Image"])
    told = {
        **agents[0],
        f"{_ENV}RUN_DIR": str(run.path.resolve()),
        f"{_ENV}PEERS": ",".join(sorted(peers)),
        contract.CACHE_VARIABLE: contract.IMAGE_CACHE,
    }
    contract.cache_folder().mkdir(parents=True, exist_ok=True)
    service = services.name_of(run, ADOPTION)
    try:
        engine.call(*services.adoption_command(run, node, outside, told))
        _await(engine, service)
    finally:
        engine.call("service", "rm", service)


def _await(engine: Engine, service: str) -> None:
    deadline = time.monotonic() + FETCH_S
    while True:
        tasks = list(swarm.tasks(engine, [service]))
        if any(task.state == "Complete" for task in tasks):
            return
        failed = [task for task in tasks if task.failed]
        if failed or time.monotonic() > deadline:
            words = engine.call("service", "logs", "--raw", f"--tail={_WORDS}", service)
            why = failed[0].error if failed else f"it has not ended after {FETCH_S:.0f} s"
            raise errors.StartFailed(
                f"what the run's new home needs is not to be had: {why}\n{words.rstrip()}",
                where=service,
                fix="the lines above are the task's own; `docker service ls` shows who trains",
            )
        time.sleep(_POLL_S)
