"""Runs as containers of one Docker engine. What is there, Docker's labels say; no file of ours."""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from evener import contract, errors
from evener.docker import Engine
from evener.image import build
from evener.image.build import Content
from evener.launch import containers, doors, janitor
from evener.launch.base import (
    PRIVATE,
    Command,
    Handle,
    HeadPlace,
    Rendered,
    write_handle,
)  # fmt: skip
from evener.launch.containers import HEAD, RESTARTS, Mount, Outside
from evener.launch.worn import Worn
from evener.placement import DOCKER, Plan
from evener.rundir import layout
from evener.rundir.layout import RunDir

SECRET_BYTES = 32
LOOK_S = 0.5
AWAY_S = 300.0  # an engine that restarts, all its containers with it, is back before
STOP_S = 8.0  # after which "at once" is made certain
CLEAN_S = 30.0
WAIT_S = 60.0  # for all of the run to stop, before a look at who has stopped for good
SETTLE_S = 2.0  # in which a container that cannot start has ended
JANITOR_S = 0.5  # between two looks at a run that has stopped
CALM = 8  # looks at which nothing lives
AWAY_LOOKS = 1200  # looks at which no engine answers: one that restarts is back long before
_POLL_S = 0.2
_AGAIN_S = 0.3  # two signals at once would arrive as one
_TAIL_LINES = 12
_RESTARTS = "--format={{.RestartCount}}"
_WELL = "Exited (0)"


Left = dict[str, list[str]]  # identities of the engine's objects, by kind


def _silent(text: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class DockerLauncher:
    """`content` and `reads` are needed to start a run, not to stop or find one."""

    content: Content | None = None
    reads: tuple[Mount, ...] = ()
    note: Callable[[str], None] = field(default=_silent)
    port: int = 0  # of this machine, where the head shows the run's page; 0: any
    engine: Engine = field(default_factory=Engine)
    place: str = DOCKER
    vanished_s: float = 20.0  # an engine that comes back starts its containers one by one
    _looks: dict[Path, tuple[float, bool]] = field(default_factory=dict)
    _provided: list[str] = field(default_factory=list)  # the image, once it is there
    _worn: Worn = field(default_factory=Worn)

    def render(self, plan: Plan, run: RunDir) -> Rendered:
        outside = self.outside(self._image())
        commands = [Command("network", self._argv(*containers.network_command(run)), {}, run.logs)]
        for each in containers.containers(plan, run, outside):
            argv = self._argv(*containers.run_command(each, run, outside))
            commands.append(Command(each.role, argv, {}, run.logs))
        return Rendered(run, tuple(commands))

    def provide(self) -> None:
        assert self.content is not None
        self._provided.append(build.ensure(self.engine, self.content, self.note))

    def _image(self) -> str:
        """The one that was provided, though its user has changed the code by now."""
        if self._provided:
            return self._provided[-1]
        assert self.content is not None
        return build.recipes(self.content)[1].tag

    def start(self, rendered: Rendered) -> Handle:
        run = rendered.run
        self.clean(run)  # what an engine's failure left of an earlier start
        secret = secrets.token_urlsafe(SECRET_BYTES)
        layout.write_atomic(run.secret_file, secret + "\n", PRIVATE)
        contract.cache_folder().mkdir(parents=True, exist_ok=True)
        try:
            for command in rendered.commands:
                self._start(command.argv[len(self.engine.program) :])
            self._settle(rendered)
            handle = Handle(self.place, self._head_address(run), secret, ())
            write_handle(run, handle)
            janitor.leave(run)
        except BaseException:
            self.clean(run)
            raise
        return handle

    def _start(self, arguments: tuple[str, ...]) -> None:
        try:
            self.engine.call(*arguments)
        except errors.PortTaken:  # by a run that starts at the same moment: the engine chooses
            name = next(a.partition("=")[2] for a in arguments if a.startswith("--name="))
            self.engine.call("rm", "--force", name)
            self.engine.call(*containers.at_any_port(arguments))

    def stop(self, run: RunDir, *, now: bool) -> None:
        self._ask_to_stop(run)
        if not now:
            return
        time.sleep(_AGAIN_S)
        self._ask_to_stop(run)
        deadline = time.monotonic() + STOP_S
        while self._running(run) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        self.clean(run)

    def _ask_to_stop(self, run: RunDir) -> None:
        """Agents only: the head hears the end from them, and ends by itself."""
        agents = [c["ID"] for c in self._running(run) if not c["Names"].endswith(f"-{HEAD}")]
        if agents:
            with contextlib.suppress(errors.DockerFailed):  # one ended by itself meanwhile
                self.engine.call("kill", "--signal=INT", *agents)

    def alive(self, run: RunDir) -> bool:
        """Whoever follows a run asks several times a second; the engine is asked twice.

        An engine that is away may be back at once, its containers with it: for a while the last
        answer stands.
        """
        looked_at, answer = self._looks.get(run.path, (-math.inf, False))
        if time.monotonic() - looked_at < LOOK_S:
            return answer
        try:
            answer = bool(self.living(run))
        except errors.MachineError:
            return answer and time.monotonic() - looked_at < AWAY_S
        self._looks[run.path] = (time.monotonic(), answer)
        return answer

    def head(self, run: RunDir) -> HeadPlace | None:
        """The engine may be in a virtual machine, with which the run's folder is only shared. A
        port is looked up again and again: a head that is started again has a new one."""
        try:
            address = self._head_address(run)
            secret = run.secret_file.read_text(encoding="utf-8").strip()
        except (errors.MachineError, OSError):
            return None
        return HeadPlace(address, secret) if address else None

    def clean(self, run: RunDir, only: Left | None = None) -> None:
        """Remove what there is of the run on the engine, running or not; or `only` these of it.

        Somebody else may be at it at the same time: what counts is that nothing is left.
        """
        deadline = time.monotonic() + CLEAN_S
        while left := among(self.left(run), only):
            try:
                self._remove(left)
            except errors.DockerFailed:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_S)

    def left(self, run: RunDir) -> Left:
        """What there is of the run, in the order in which it can go."""
        networks = self.engine.ask("network", "ls", containers.label_filter(run))
        found = {
            "container": [c["ID"] for c in self._containers(run)],
            "network": [n["ID"] for n in networks],
        }
        return {kind: ids for kind, ids in found.items() if ids}

    def _remove(self, left: Left) -> None:
        """What cannot be keeps nothing else. Raises what Docker said of the first such kind."""
        failed = None
        for kind, ids in left.items():
            options = ("--force", "--volumes") if kind == "container" else ()
            try:
                self.engine.call(kind, "rm", *options, *ids)
            except errors.DockerFailed as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def look_after(self, run: RunDir) -> None:
        """Until nothing of what is there now lives: a resumed run has containers and a janitor of
        its own. Then it is removed. A container that is started again does not live at first."""
        with contextlib.suppress(errors.MachineError):
            own = self.left(run)
            calm = away = 0
            while calm < CALM and away < AWAY_LOOKS:
                time.sleep(JANITOR_S)
                try:
                    if not among(self.left(run), own):
                        return  # whoever stopped the run was faster
                    alive = self.living(run) & set().union(*own.values())
                    calm, away = 0 if alive else calm + 1, 0
                    if alive:
                        self.attend(run, alive)
                except errors.MachineError:  # an engine that is away says nothing about the run
                    away += 1
            self.clean(run, own)

    def attend(self, run: RunDir, alive: Iterable[str]) -> None:
        """Until these containers have stopped, or for a while; asking again and again would cost
        the training some of its time."""
        try:
            self.engine.call("wait", *alive, timeout_s=WAIT_S)
        except errors.DockerAway:  # or all is well: the next question tells
            self._revive(run)

    def _revive(self, run: RunDir) -> None:
        """Those that the engine starts no more, when they have rested."""
        given_up = self._given_up(run)
        for each in self._worn.rested(given_up, time.monotonic()):
            self.engine.call(*given_up[each])

    def _given_up(self, run: RunDir) -> dict[str, tuple[str, ...]]:
        """And what starts each; not who ended well, or was stopped by hand."""
        stopped = (c for c in self._containers(run) if c["State"] == "exited")
        ended = [c["ID"] for c in stopped if not c["Status"].startswith(_WELL)]
        told = self.engine.call("inspect", _RESTARTS, *ended).split() if ended else []
        counted = zip(ended, told, strict=True)
        return {each: ("start", each) for each, count in counted if int(count) >= RESTARTS}

    def living(self, run: RunDir) -> set[str]:
        """The identities of what of it runs, or is about to run again."""
        return {c["ID"] for c in self._running(run)}

    def _containers(self, run: RunDir) -> list[dict[str, str]]:
        return self.engine.ask("ps", "--all", containers.label_filter(run))

    def _running(self, run: RunDir) -> list[dict[str, str]]:
        return [c for c in self._containers(run) if c["State"] in ("running", "restarting")]

    def _settle(self, rendered: Rendered) -> None:
        """A container that ends in its first moments with an error was not started."""
        deadline = time.monotonic() + SETTLE_S
        while time.monotonic() < deadline:
            for each in self._containers(rendered.run):
                if each["State"] == "restarting" or (
                    each["State"] == "exited" and not each["Status"].startswith(_WELL)
                ):
                    raise self._failed(each)
            time.sleep(_POLL_S)

    def _failed(self, container: dict[str, str]) -> errors.StartFailed:
        said = self.engine.last_words(container["ID"], _TAIL_LINES)
        lines = "".join(f"\n    {line}" for line in said)
        return errors.StartFailed(
            f"a container ended as soon as it was started{lines}",
            where=container["Names"],
            fix="the lines above are its own",
        )

    def _head_address(self, run: RunDir) -> str:
        name = f"{containers.network(run)}-{HEAD}"
        said = self.engine.call("port", name, f"{contract.HEAD_PORT}/tcp")
        return said.splitlines()[0].strip() if said.strip() else ""

    def outside(self, image: str) -> Outside:
        caller = ""
        if sys.platform != "win32":
            caller = f"{os.getuid()}:{os.getgid()}"
        user, userns = containers.user_inside(caller, self._security())
        cache = str(contract.cache_folder())
        return Outside(image, user, cache, self.reads, userns, doors.free(self.port))

    def _security(self) -> tuple[str, ...]:
        """What the engine says of its own; nothing where it is not there, as for a dry run."""
        try:
            return self.engine.facts().security
        except errors.MachineError:
            return ()

    def _argv(self, *arguments: str) -> tuple[str, ...]:
        return (*self.engine.program, *arguments)


def among(left: Left, only: Left | None) -> Left:
    """Of what is left, those in `only`, or all of it."""
    if only is None:
        return left
    found = {
        kind: [each for each in ids if each in only.get(kind, ())] for kind, ids in left.items()
    }
    return {kind: ids for kind, ids in found.items() if ids}
