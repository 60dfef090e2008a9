"""Brings a run's image to the machines of a Swarm that lack it, where no registry is named.

On the manager a container sends, on each of the machines a service fetches (`image.ferry`). The one
is made of the image itself; the others of that which ours starts from, or of Docker's own Python,
which a machine has or gets from where this one would. What joins them is the run's own network. All
of it is labelled as the run's, and gone when this returns.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evener import errors, units
from evener.docker import Engine, swarm
from evener.docker.swarm import Task
from evener.image import ferry
from evener.image.build import Note
from evener.launch.containers import identity, label, network
from evener.launch.refusals import OTHERWISE
from evener.rundir.layout import RunDir

SENDER = "image"  # in the run's network
BRING_S = 3600.0  # gigabytes over a slow link
_POLL_S = 0.5
_UNIX = "unix://"


@dataclass(frozen=True, slots=True)
class Freight:
    """`image` for those who have or can get `base`, in which there is a Python."""

    run: RunDir
    image: str
    base: str


def bring(engine: Engine, freight: Freight, machines: Mapping[str, str], note: Note) -> None:
    """To `machines`, which are the Swarm's identities by name. Raises ImageMissing."""
    note(f"{', '.join(sorted(machines))}: the image is brought there")
    sender = _name(freight.run, SENDER)
    fetchers = {_name(freight.run, f"fetch-{n}"): name for n, name in enumerate(sorted(machines))}
    try:
        engine.call(*_sender_command(freight, sender, _socket(engine)))
        for fetcher, name in fetchers.items():
            engine.call(*_fetcher_command(freight, fetcher, name, machines[name]))
        _await(engine, freight, fetchers)
        for told in map(json.loads, engine.last_words(sender, 2 * len(fetchers))):
            note(f"  {told['to']}: {units.show_size(told['bytes'])}")
    finally:
        with contextlib.suppress(errors.DockerFailed):  # what was not made
            engine.call("rm", "--force", "--volumes", sender)
        with contextlib.suppress(errors.DockerFailed):
            engine.call("service", "rm", *fetchers)


def _name(run: RunDir, part: str) -> str:
    return f"evener-{identity(run)}-{part}"


def _socket(engine: Engine) -> str:
    """Where the manager's engine listens on its own machine."""
    told = engine.address
    return told.removeprefix(_UNIX) if told.startswith(_UNIX) else ferry.ENGINE


def _program(python: str) -> tuple[str, ...]:
    return (python, "-c", Path(ferry.__file__).read_text(encoding="utf-8"))


def _sender_command(freight: Freight, name: str, socket: str) -> tuple[str, ...]:
    return (
        *("run", "--detach", f"--name={name}", f"--label={label(freight.run)}"),
        *(f"--network={network(freight.run)}", f"--network-alias={SENDER}", "--cap-drop=ALL"),
        f"--mount=type=bind,source={socket},target={ferry.ENGINE}",
        *(freight.image, *_program("python"), "send", freight.image),
    )


def _fetcher_command(freight: Freight, name: str, machine: str, node: str) -> tuple[str, ...]:
    return (
        *("service", "create", "--detach", "--no-resolve-image", "--with-registry-auth"),
        *(f"--name={name}", f"--constraint=node.id=={node}"),
        *(f"--label={label(freight.run)}", f"--container-label={label(freight.run)}"),
        *(f"--network={network(freight.run)}", "--restart-condition=none", "--cap-drop=ALL"),
        f"--mount=type=bind,source={ferry.ENGINE},target={ferry.ENGINE}",
        *(freight.base, *_program("python3"), "fetch", freight.image, SENDER, machine),
    )


def _await(engine: Engine, freight: Freight, fetchers: Mapping[str, str]) -> None:
    deadline = time.monotonic() + BRING_S
    left = set(fetchers)
    while left:
        for task in list(swarm.tasks(engine, left)):
            if task.state == "Complete":
                left.discard(task.service)
            elif task.failed or time.monotonic() > deadline:
                raise _not_brought(engine, freight, task, fetchers[task.service])
        time.sleep(_POLL_S)


def _not_brought(engine: Engine, freight: Freight, task: Task, machine: str) -> errors.ImageMissing:
    said = engine.call("service", "logs", "--raw", "--tail=1", task.service).strip()
    reason = said or task.error or task.state
    return errors.ImageMissing(
        f"{machine} has not the image of the run, and it cannot be brought there: {reason}",
        where=machine,
        fix=f"see that it can get {freight.base}; or {OTHERWISE}",
    )
