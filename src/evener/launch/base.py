"""What every launcher does, whatever place it starts processes in."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from evener import errors
from evener.placement import Plan
from evener.rundir import layout
from evener.rundir.layout import RunDir

VERSION = 1
MASK = "***"  # stands for what is only known, or only told, at the start
PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class Command:
    """One process that would be started. What is secret in `env` shows as a mask."""

    purpose: str  # "head", "agent a00"
    argv: tuple[str, ...]
    env: dict[str, str]  # added to what the launcher's own environment holds
    log: Path


@dataclass(frozen=True, slots=True)
class Rendered:
    """What would be started for `run`, in this order."""

    run: RunDir
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Started:
    """A process that was started. With its birth a recycled pid is told from it."""

    purpose: str
    pid: int
    birth: str


@dataclass(frozen=True, slots=True)
class Handle:
    """What a later shell needs to find a run's processes and speak to its head."""

    place: str
    head: str
    secret: str = field(repr=False)
    processes: tuple[Started, ...]


@dataclass(frozen=True, slots=True)
class HeadPlace:
    """Where a head answers, and what it wants to hear."""

    address: str  # host:port
    secret: str = field(repr=False)


class Launcher(Protocol):
    """Starts runs in one kind of place."""

    @property
    def vanished_s(self) -> float:
        """Nothing of a run is there, and nobody has said why: for so long it may still be back."""
        ...

    def render(self, plan: Plan, run: RunDir) -> Rendered:
        """What `start` would start; decides, touches nothing."""
        ...

    def provide(self) -> None:
        """Brings what takes long and belongs to no run: an image. Before a run is begun."""
        ...

    def start(self, rendered: Rendered) -> Handle:
        """Starts all of it, or nothing: a StartFailed leaves no process behind."""
        ...

    def stop(self, run: RunDir, *, now: bool) -> None:
        """Asks the run to stop with a checkpoint; with `now` it ends at once and for certain."""
        ...

    def alive(self, run: RunDir) -> bool:
        """Whether any process of the run is there."""
        ...

    def head(self, run: RunDir) -> HeadPlace | None:
        """The head of a run that must be read from it; None where the run's folder will do."""
        ...

    def clean(self, run: RunDir) -> None:
        """Removes what a run that is over has left in its place, besides its folder."""
        ...


def write_handle(run: RunDir, handle: Handle) -> None:
    """Only the user may read it: who knows the secret can speak as an agent of the run."""
    layout.write_json(run.handle_file, {"v": VERSION, **asdict(handle)}, PRIVATE)


def read_handle(run: RunDir) -> Handle | None:
    """The handle of a run's last start; None where it was never started."""
    if not run.handle_file.is_file():
        return None
    record = layout.read_json(run.handle_file)
    try:
        return _handle(record)
    except (KeyError, TypeError, ValueError) as error:
        raise errors.StoreDamaged(
            f"{run.handle_file.name} is damaged: {error!r}",
            where=str(run.handle_file),
            fix="end the run's processes by hand if there are any, then remove the file",
        ) from error


def _handle(record: Any) -> Handle:
    processes = tuple(
        Started(str(p["purpose"]), int(p["pid"]), str(p["birth"])) for p in record["processes"]
    )
    return Handle(
        str(record["place"]), str(record["head"]), str(record["secret"]), processes=processes
    )
