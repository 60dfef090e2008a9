"""Who has ended more often than the engine starts it again is started once more, after a rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from evener import errors
from evener.docker import Engine
from evener.launch.containers import RESTARTS
from evener.launch.docker import DockerLauncher
from evener.launch.swarm import SwarmLauncher
from evener.launch.worn import REST_S, Worn
from evener.rundir.layout import RunDir

CONTAINERS = {  # by identity: its state, what docker says of it, and how often it was started again
    "elm": ("running", "Up 2 days", 3),
    "oak": ("exited", "Exited (137) 3 minutes ago", RESTARTS),
    "ash": ("exited", "Exited (137) 3 minutes ago", 1),  # stopped by hand
    "fir": ("exited", "Exited (0) 3 minutes ago", RESTARTS),
}
SERVICES = {  # by name: what runs of it, and its tasks, the newest first
    "elm": ("1/1", ("Running", "Failed", "Failed")),
    "larch": ("0/1", ("Failed", "Shutdown", "Failed")),
    "yew": ("0/1", ("Shutdown", "Failed")),  # with its engine
    "ash": ("0/1", ("Pending", "Failed")),  # its engine is away
    "fir": ("0/1", ("Complete", "Failed")),
}


@dataclass(frozen=True, slots=True)
class _Engine(Engine):
    called: list[tuple[str, ...]] = field(default_factory=list)

    def call(self, *arguments: str, timeout_s: float = 0.0) -> str:
        self.called.append(arguments)
        if arguments[0] == "wait":
            raise errors.DockerAway("no answer", where="docker wait", fix="wait")
        if arguments[0] == "inspect":
            return "\n".join(str(CONTAINERS[each][2]) for each in arguments[2:])
        return ""

    def ask(self, *arguments: str, short: bool = False) -> list[dict[str, Any]]:
        if arguments[0] == "ps":
            return [{"ID": k, "State": s, "Status": t} for k, (s, t, _) in CONTAINERS.items()]
        if arguments[1] == "ls":
            return [{"Name": k, "Replicas": runs} for k, (runs, _) in SERVICES.items()]
        each = [(name, state) for name in arguments[2:] for state in SERVICES[name][1]]
        rest = {"Node": "", "Error": ""}
        return [
            {"Name": f"{name}.1", "CurrentState": f"{state} ago", **rest} for name, state in each
        ]


def _of_docker(launcher: DockerLauncher, run: RunDir) -> None:
    launcher.attend(run, ["elm"])


@pytest.mark.parametrize(
    ("made", "look", "expected"),
    [
        (DockerLauncher, _of_docker, [("start", "oak")]),
        (
            SwarmLauncher,
            SwarmLauncher._revive,
            [
                ("service", "update", "--force", "--detach", "larch"),
                ("start", "oak"),  # the head, on the manager's own engine
                ("service", "update", "--force", "--detach", "yew"),
            ],
        ),
    ],
)
def test_only_who_is_started_by_nobody_else_is_and_after_a_rest(
    made: type[Any],
    look: Callable[[Any, RunDir], None],
    expected: list[tuple[str, ...]],
    tmp_path: Path,
) -> None:
    for down_for, orders in ((REST_S / 2, []), (REST_S, expected)):
        launcher = made(engine=_Engine())
        launcher._worn.rested(["oak", "larch", "yew"], time.monotonic() - down_for)
        look(launcher, RunDir(tmp_path))
        given = [each for each in launcher.engine.called if each[0] in ("start", "service")]
        assert given == orders


def test_a_rest_begins_anew_with_each_time_that_it_is_down() -> None:
    worn = Worn()
    assert worn.rested(["oak"], 0.0) == []
    assert worn.rested([], 1.0) == []
    assert worn.rested(["oak", "elm"], 2.0) == []
    assert worn.rested(["oak", "elm"], REST_S + 1.0) == []
    assert worn.rested(["oak", "elm"], REST_S + 2.0) == ["elm", "oak"]
    assert worn.rested(["oak"], REST_S + 3.0) == []
