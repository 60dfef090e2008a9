"""The launcher for each kind of place, and the one that started a given run."""

from __future__ import annotations

import socket

from evener import errors, placement
from evener.launch.base import HeadPlace, Launcher, read_handle
from evener.launch.docker import DockerLauncher
from evener.launch.local import LocalLauncher
from evener.launch.pool import PoolLauncher
from evener.launch.project import PLACE as COMPOSE
from evener.launch.project import STACK, ComposeLauncher
from evener.launch.swarm import SwarmLauncher
from evener.placement import DOCKER, POOL, SWARM
from evener.rundir import layout
from evener.rundir.layout import RunDir
from evener.wire.frames import split_address

ANSWER_S = 1.0


def launcher_of(run: RunDir) -> Launcher:
    """Who stops `run` and says whether it is alive: by the plan of its last start."""
    try:
        place = placement.from_dict(layout.read_json(run.plan_file)).place
    except (errors.StoreDamaged, ValueError):
        return LocalLauncher()  # it never came to a start
    if place in (COMPOSE, STACK):
        return ComposeLauncher()
    if place == SWARM:
        return SwarmLauncher()
    if place == POOL:
        return PoolLauncher()
    return DockerLauncher() if place == DOCKER else LocalLauncher()


def alive(run: RunDir, launcher: Launcher) -> bool:
    """What no engine answers for does not go on, as far as can be seen from here."""
    try:
        return launcher.alive(run)
    except errors.EvenerError:
        return False


def head_of(run: RunDir, launcher: Launcher | None = None) -> HeadPlace | None:
    """The head of a run that goes on, where it answers from here; None where it does not."""
    launcher = launcher or launcher_of(run)
    if not alive(run, launcher):
        return None
    handle = read_handle(run)
    told = HeadPlace(handle.head, handle.secret) if handle and handle.secret else None
    place = launcher.head(run) or told
    return place if place is not None and _answers(place) else None


def _answers(place: HeadPlace) -> bool:
    """An engine may be on another machine, and publish its ports there."""
    try:
        socket.create_connection(split_address(place.address), ANSWER_S).close()
        return True
    except (OSError, ValueError):
        return False
